"""Gaussian process regression: the inverse of linear physics from few observed values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.math import Tensor, batch

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import GridMismatchError, UnsupportedError
from ..gaussian_process import Posterior, Posteriors, Response, fitted
from ..states import trees
from ..states.checks import check_same_batch
from .entries import physics_of_entries
from .least_squares import LeastSquares, check_linear
from .observed_response import observed_response


@dataclass(frozen=True)
class GaussianProcess(InverseSolver):
    """
    Posterior mean of a Gaussian field, for linear physics of which few values are observed, y = y₀ + J x + n:

        x̃ = b + C Jᵀ (J C Jᵀ + σ² I)⁻¹ (y* − y₀ − J b),   C = A Φ diag((|k|² + τ²)^(−α)) Φᵀ

    The constant b of each component is that of generalized least squares; it is 0 where the values do not depend on it,
    or are fewer than two more. The field consists of cosines or sines per axis, on periodic axes of both. Modes,
    exponent α, scale τ, amplitude A and, unless the physics says it, σ are chosen for each observation by its marginal
    likelihood, averaged over what it leaves open. x̃ depends on y* alone. Batch entries do not mix. The uncertainty is
    the standard deviation of the posterior, of which `SipStep.posterior_samples` draws states.

    It costs one vector–Jacobian product for each observed value, and n² and n³ operations for n values, once for each
    physics: what is found is kept. Where fields of the physics have batch dims, that is once for each entry. After
    that, an observation takes milliseconds. It runs on the processor, in double precision, whatever the framework; J is
    found in double precision too, if the physics can, else in that of the data.

    Raises:
        UnsupportedError: when solving, if the physics is not linear or a function of its own differs between batch
            entries, if a state is no single field, if more than 2,048 values are observed, or within a graph.

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5.
    """

    name: ClassVar[str] = "gaussian-process"
    on_host: ClassVar[bool] = True

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`. `stats` holds `noise_std`, σ as told or fitted."""
        check_linear(self, physics)
        if not all(leaf.available for tree in (y_target, x) for leaf in trees.leaves(tree)):
            raise UnsupportedError("GaussianProcess runs on the processor, outside of graphs. Leave out compile=True.")
        problem = LeastSquares.of(physics, y_target, x, y)
        rows = _rows(problem, problem.observations.pack(y_target))
        noise = _noise_variance(physics, problem, y_target)
        found = Posteriors(
            [
                (places, _posterior(observed_response(own, x), rows[places], None if noise is None else noise[places]))
                for own, places in physics_of_entries(physics, problem.states.entries)
            ]
        )

        def state(columns: np.ndarray) -> Any:
            native = problem.backend.as_tensor(columns.astype(f"float{problem.precision}"))
            return problem.states.unpack(native)

        noise_std = problem.per_entry(problem.backend.as_tensor(np.sqrt(found.noise_variance)[:, None]))

        def draw(count: int, generator: np.random.Generator) -> Any:
            drawn = [state(columns) for columns in np.moveaxis(found.draw(count, generator), 1, 0)]
            return trees.tree_map(lambda *each: math.stack([*each], batch("posterior_samples")), *drawn)

        return Correction(
            trees.subtract(state(found.mean), x),
            lambda: state(np.sqrt(found.variance())),
            {"noise_std": noise_std},
            draw,
        )


def _posterior(response: Response, rows: np.ndarray, noise: np.ndarray | None) -> Posterior:
    """Computes the posterior of observations y*, given as rows, with σ² where it is known."""
    values = rows[:, response.seen] - response.offset
    return Posterior.of(response, fitted(response, values, noise, response.rounding), values)


def _rows(problem: LeastSquares, native: Any) -> np.ndarray:
    rows: np.ndarray = np.asarray(problem.backend.numpy(native), np.float64)
    return rows


def _noise_variance(physics: InvertiblePhysics, problem: LeastSquares, y_target: Any) -> np.ndarray | None:
    """Returns σ² of each batch entry as the physics says it; `None` if it says none."""
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
            f"GaussianProcess: noise_std of {type(physics).__name__} differs between the values of an observation "
            f"({whole.shape.non_batch}), but it takes one σ for all. Give a number, or a tensor with batch dims."
        )
    variances: np.ndarray = np.asarray(whole.numpy([entries]), np.float64).reshape(-1) ** 2
    return variances


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [GaussianProcess]
