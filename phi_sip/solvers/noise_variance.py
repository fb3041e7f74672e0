"""σ² of observations, as their physics says it, for solvers that take one number for each."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..errors import GridMismatchError, UnsupportedError
from ..states import trees
from ..states.checks import check_same_batch
from .least_squares import LeastSquares


def told_variance(solver: Any, physics: InvertiblePhysics, problem: LeastSquares, y_target: Any) -> np.ndarray | None:
    """
    Returns σ² of each batch entry as the physics says it; `None` if it says none.

    Raises:
        GridMismatchError: if σ is that of another batch.
        UnsupportedError: if σ differs between the values of an observation.
    """
    std = getattr(physics, "noise_std", None)
    if not isinstance(std, (Real, Tensor)) or not physics.has_white_noise:
        return None
    entries = problem.states.entries
    if isinstance(std, Tensor):
        check_same_batch("noise_std", std, "y_target", y_target)
        if std.shape.batch.without(entries):
            raise GridMismatchError(
                f"noise_std has the dims {std.shape}, y_target is {trees.describe(y_target)}: it has no "
                f"{std.shape.batch.without(entries)}. Use the same batch for both."
            )
    whole = math.expand(math.to_float(math.wrap(std)), entries)
    if whole.shape.non_batch:
        raise UnsupportedError(
            f"{type(solver).__name__}: noise_std of {type(physics).__name__} differs between the values of an "
            f"observation ({whole.shape.non_batch}), but it takes one σ for all. Give a number, or a "
            f"tensor with batch dims."
        )
    variances: np.ndarray = np.asarray(whole.numpy([entries]), np.float64).reshape(-1) ** 2
    return variances
