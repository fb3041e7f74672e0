"""Damped least squares for a linearized process, by conjugate gradients, each row for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from phiml.backend import Backend


@dataclass(frozen=True)
class NormalEquations:
    """
    min_d ½ ‖J d − r‖² + ½ μ ‖d‖², by conjugate gradients on (JᵀJ + μ) d = Jᵀ r from d = 0 (CGLS).

    A row stops where its gradient has fallen to `tolerance`, or where the noise explains what is left. The residual
    never grows. Runs inside compiled code.

    Args:
        backend: Framework of the native matrices (rows, values).
        iterations: At most this many.
        tolerance: Of ‖Jᵀ(r − J d) − μ d‖, relative to that at d = 0.

    Source: Hestenes, Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, section 10; Hanke,
    "Conjugate Gradient Type Methods for Ill-Posed Problems", 1995, chapter 3 (stopping).
    """

    backend: Backend
    iterations: int
    tolerance: float

    def solve(
        self, push: Callable[[Any], Any], pull: Callable[[Any], Any], residual: Any, damping: Any, noise: Any
    ) -> tuple[Any, Any, Any]:
        """
        Args:
            push: d ↦ J d.
            pull: v ↦ Jᵀ v.
            residual: r.
            damping: μ per row, shape (rows, 1).
            noise: Stops a row once ‖J d − r‖² is no more than this, shape (rows, 1).

        Returns:
            d, what is left r − J d, and how many iterations each row took, shape (rows, 1).
        """
        b = self.backend

        def square(rows: Any) -> Any:
            return b.sum(rows * rows, 1, keepdims=True)

        gradient = pull(residual)
        first = square(gradient)
        moving = (square(residual) > noise) & (first > 0)
        count = b.cast(moving, b.dtype(first)) * 0

        def iterate(moving: Any, d: Any, left: Any, direction: Any, squared: Any, count: Any) -> tuple[Any, ...]:
            image = push(direction)
            curvature = square(image) + damping * square(direction)
            length = b.where(
                moving & (curvature > 0), squared / b.where(curvature > 0, curvature, curvature * 0 + 1), squared * 0
            )
            d, left = d + length * direction, left - length * image
            gradient = pull(left) - damping * d
            before, squared = squared, square(gradient)
            direction = gradient + squared / b.where(before > 0, before, before * 0 + 1) * direction
            count = count + b.cast(moving, b.dtype(count))
            moving = moving & (square(left) > noise) & (squared > self.tolerance**2 * first) & (curvature > 0)
            return moving, d, left, direction, squared, count

        start = (moving, gradient * 0, residual, gradient, first, count)
        _, d, left, _, _, count = b.while_loop(iterate, start, self.iterations)
        return d, left, count
