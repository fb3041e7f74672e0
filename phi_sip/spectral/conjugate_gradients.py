"""Least squares by conjugate gradients, for any kind of tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Descent(NamedTuple):
    """
    Where conjugate gradients are; one value per row but for `d`, `left` and `direction`.

    Attributes:
        moving: Whether a row goes on.
        d: Solution so far.
        left: r − J d.
        direction: Next search direction.
        squared: ‖g‖² of the gradient g = Jᵀ(r − J d) − μ d.
        count: How many steps a row has taken.
    """

    moving: Any
    d: Any
    left: Any
    direction: Any
    squared: Any
    count: Any


@dataclass(frozen=True)
class ConjugateGradients:
    """
    min_d ½ ‖J d − r‖² + ½ μ ‖d‖², by conjugate gradients on (JᵀJ + μ) d = Jᵀ r from d = 0 (CGLS).

    A row stops where its gradient has fallen to `tolerance`, or where the noise explains what is left. The residual
    never grows. Native tensors of any framework and PhiML's take the same steps.

    Attributes:
        push: Computes J d.
        pull: Computes Jᵀ v.
        square: Computes ‖row‖² of each row.
        where: Chooses by row, `where(condition, a, b)`.
        damping: μ ≥ 0, per row or a number.
        noise: A row stops once ‖J d − r‖² is no more than this; per row or a number.
        tolerance: Of the gradient, relative to that at d = 0.

    Source: Hestenes, Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, section 10; Hanke,
    "Conjugate Gradient Type Methods for Ill-Posed Problems", 1995, chapter 3 (stopping).
    """

    push: Callable[[Any], Any]
    pull: Callable[[Any], Any]
    square: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]
    damping: Any = 0.0
    noise: Any = -1.0
    tolerance: float = 0.0

    def start(self, residual: Any) -> Descent:
        """Returns the state at d = 0 for r = `residual`."""
        gradient = self.pull(residual)
        squared = self.square(gradient)
        moving = (self.square(residual) > self.noise) & (squared > 0)
        return Descent(moving, gradient * 0, residual, gradient, squared, squared * 0)

    def origin(self, residual: Any, d: Any) -> Descent:
        """
        Returns the state before the first direction is known, for loops in which `turn` comes before `advance`.

        Args:
            residual: r.
            d: 0.
        """
        one = self.square(residual) * 0 + 1
        return Descent(self.square(residual) > self.noise, d, residual, d, one, one * 0)

    def advance(self, state: Descent) -> Descent:
        """Computes d and r − J d after a step in the direction of the state."""
        moving, d, left, direction, before, count = state
        image = self.push(direction)
        curvature = self.square(image) + self.damping * self.square(direction)
        moving = moving & (curvature > 0)
        length = self.where(moving, before / self._positive(curvature), before * 0)
        count = count + self.where(state.moving, before * 0 + 1, before * 0)
        return Descent(moving, d + length * direction, left - length * image, direction, before, count)

    def step(self, state: Descent, first: Any) -> Descent:
        """
        Computes the state after one more step.

        Args:
            state: Where the iteration is.
            first: `squared` of the start.
        """
        return self.turn(self.advance(state), first)

    def turn(self, state: Descent, first: Any) -> Descent:
        """
        Computes the direction of the next step.

        Args:
            state: Where the iteration is.
            first: See `step`.
        """
        moving, d, left, direction, before, count = state
        gradient = self.pull(left) - self.damping * d
        squared = self.square(gradient)
        direction = gradient + squared / self._positive(before) * direction
        moving = moving & (self.square(left) > self.noise) & (squared > self.tolerance**2 * first)
        return Descent(moving, d, left, direction, squared, count)

    def _positive(self, values: Any) -> Any:
        """Returns values to divide by, 1 in place of those that are not positive."""
        return self.where(values > 0, values, values * 0 + 1)
