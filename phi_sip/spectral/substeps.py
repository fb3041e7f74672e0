"""Time steps that are divided where a flow is too fast for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..contract.operations import CompilingOperations, Operations
from ..errors import ParameterError
from .derivatives import STABLE_COURANT

COUNTS = (1, 2, 4, 8, 16, 64, 256)


@dataclass(frozen=True, eq=False)
class Substeps:
    """
    Number n of equal parts in which each time step is taken, so that the fastest sample of a batch is stable:

        n = min {n in COUNTS: max C ≤ 2.8 n},   C = dt max Σ_a |u_a| k_a

    Attributes:
        which: Place of n in `COUNTS`: an `int`, or a `Tensor` within a graph, where the flow is not known yet.
        count: n. Within a graph it is NaN if no n suffices, and so is then all that is computed with dt / n.
    """

    which: int | Tensor
    count: int | Tensor

    def repeated(
        self,
        framework: Operations,
        step: Callable[[Any], Any],
        state: Any,
        steps: int,
        differentiable: bool = True,
    ) -> Any:
        """
        Takes so many time steps, each in n parts.

        Args:
            framework: Operations for the native tensors.
            step: Takes one part of a time step, of a native tensor.
            state: First state.
            steps: How many time steps.
            differentiable: Whether derivatives are taken through it; if not, JAX compiles it sooner.
        """
        counts = [steps * count for count in COUNTS]
        if isinstance(self.which, Tensor):
            loops = cast("CompilingOperations", framework)
            return loops.repeated_one_of(step, state, counts, self.which.native(), differentiable)
        return framework.repeated(step, state, counts[self.which])

    @staticmethod
    def of(owner: str, courant: Tensor) -> Substeps:
        """
        Returns the smallest number of parts that is stable.

        Args:
            owner: Who asks, for the message.
            courant: C of each batch entry, see `PeriodicDerivatives.courant`.

        Raises:
            ParameterError: if the largest number is not enough, or C is not finite.
        """
        worst = math.stop_gradient(math.max(courant, courant.shape))
        if worst.available:
            number = float(worst)
            for which, count in enumerate(COUNTS):
                if number <= STABLE_COURANT * count:
                    return Substeps(which, count)
            raise ParameterError(
                f"{owner}: dt max Σ |u| k = {number:.3g}, but {STABLE_COURANT} is stable, and steps are divided by "
                f"{COUNTS[-1]} at most. A flow that crosses the grid that often in one step is no state that can be "
                f"simulated. Check where x comes from, in training the learning rate, and that time_step has the unit "
                f"of x."
            )
        which = sum(math.cast(worst > STABLE_COURANT * count, math.DType(int, 32)) for count in COUNTS[:-1])
        count = sum(
            (after - before) * math.cast(worst > STABLE_COURANT * before, worst.dtype)
            for before, after in pairwise(COUNTS)
        )
        return Substeps(which, math.where(worst <= STABLE_COURANT * COUNTS[-1], 1 + count, np.nan))


ONE = Substeps(0, 1)
