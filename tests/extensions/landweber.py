"""A numerical inverse of a stranger: x ← x + ω (y* − P(x)), for physics close to the identity."""

from dataclasses import dataclass
from typing import ClassVar

from phi_sip import Correction, InverseSolver, hookimpl


@dataclass(frozen=True)
class Landweber(InverseSolver):
    """x ← x + ω (y* − P(x))."""

    name: ClassVar[str] = "landweber"
    relaxation: float = 0.5
    iterations: int = 60

    def solve(self, physics, y_target, x, y):
        start = x
        for _ in range(self.iterations):
            x = x + self.relaxation * (y_target - physics.forward(x))
        return Correction(x - start)


@hookimpl
def sip_solvers():
    return [Landweber]
