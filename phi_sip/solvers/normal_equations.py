"""Damped least squares for a linearized process, each row for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from phiml.backend import Backend

from ..compilation.iterations import repeat
from ..spectral.conjugate_gradients import ConjugateGradients


@dataclass(frozen=True)
class NormalEquations:
    """
    min_d ½ ‖J d − r‖² + ½ μ ‖d‖², by `ConjugateGradients` on native matrices. Runs inside compiled code.

    Args:
        backend: Framework of the native matrices (rows, values).
        iterations: At most this many.
        tolerance: Of ‖Jᵀ(r − J d) − μ d‖, relative to that at d = 0.
    """

    backend: Backend
    iterations: int
    tolerance: float

    def solve(
        self, push: Callable[[Any], Any], pull: Callable[[Any], Any], residual: Any, damping: Any, noise: Any
    ) -> tuple[Any, Any, Any]:
        """
        Solves for all rows.

        Args:
            push: Computes J d.
            pull: Computes Jᵀ v.
            residual: r.
            damping: μ per row, shape (rows, 1).
            noise: Stops a row once ‖J d − r‖² is no more than this, shape (rows, 1).

        Returns:
            d, what is left r − J d, and how many iterations each row took, shape (rows, 1).
        """
        b = self.backend

        def square(rows: Any) -> Any:
            return b.sum(rows * rows, 1, keepdims=True)

        method = ConjugateGradients(push, pull, square, b.where, damping, noise, self.tolerance)
        start = method.start(residual)
        end = repeat(b, lambda state: method.step(state, start.squared), start, self.iterations)
        return end.d, end.left, end.count
