"""Newton's method for physics that act on each value by itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

from phi_sip import Correction, InverseSolver, InvertiblePhysics, ParameterError


@dataclass(frozen=True)
class Newton1D(InverseSolver):
    """
    x ← x + (y* − P(x)) / P'(x), value by value, with P' by central differences.

    Args:
        iterations: Number of Newton steps, ≥ 1.
        spacing: Half-distance of the differences, in units of x; > 0.

    Raises:
        ParameterError: if an option is out of range.
    """

    name: ClassVar[str] = "newton1d"

    iterations: int = 5
    spacing: float = 1e-4

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.spacing <= 0:
            raise ParameterError(
                f"Newton1D: iterations = {self.iterations}, spacing = {self.spacing}; give ≥ 1 and > 0."
            )

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        current = x
        for _ in range(self.iterations):
            slope = (physics.forward(current + self.spacing) - physics.forward(current - self.spacing)) / (
                2 * self.spacing
            )
            current = current + (y_target - physics.forward(current)) / slope
        return Correction(current - x, stats={"iterations": self.iterations})
