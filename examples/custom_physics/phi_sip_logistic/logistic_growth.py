"""Logistic growth of a population, and its inverse."""

from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math

from phi_sip import Correction, InvertiblePhysics, ParameterError


@dataclass(frozen=True)
class LogisticGrowth(InvertiblePhysics):
    """
    Population y after the time t, from the population x at the start, value by value:

        dp/dt = r p (1 − p / K),   p(0) = x,   y = p(t)
        y = K / (1 + (K/x − 1) e^{−r t})
        x̃ = K / (1 + (K/y* − 1) e^{r t})

    A population that has all but reached K hardly tells where it came from, dy/dx ≈ e^{−r t} there, and one that has
    just begun to grow tells it e^{r t} times enlarged. Gradients are short in one case and long in the other; the
    inverse is neither.

    Args:
        rate: r > 0 in 1 / time.
        time: t > 0.
        capacity: K > 0, in the units of x.

    Raises:
        ParameterError: if a parameter is not positive; by `inverse`, if no positive population grows to an observation.

    Source: Verhulst, "Notice sur la loi que la population suit dans son accroissement", 1838.
    """

    name: ClassVar[str] = "logistic-growth"

    rate: float = 1.0
    time: float = 1.0
    capacity: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ParameterError(f"LogisticGrowth: {name} = {value}, but it must be > 0.")

    def forward(self, x: Any) -> Any:
        """y from x > 0."""
        return self._after(x, self.time)

    def inverse(self, y_target: Any, x: Any, y: Any) -> Correction:
        """x̃ − x, from y_target alone."""
        found = self._after(y_target, -self.time)
        if bool(((y_target <= 0) | (found <= 0)).any):
            raise ParameterError(
                "LogisticGrowth: no positive population grows to an observation that is ≤ 0, or so far above the "
                "capacity. Remove it, or use step_size ≤ 1 in training."
            )
        return Correction(found - x)

    def _after(self, population: Any, time: float) -> Any:
        """The solution of the equation, forwards or backwards in time."""
        decay = math.exp(-self.rate * time)
        return self.capacity * population / (population + (self.capacity - population) * decay)
