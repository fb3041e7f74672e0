"""The state that the inverse finds without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.inputs import NetworkInput, Observed
from ..contract.solver import InverseSolver
from ..errors import ParameterError
from ..states.checks import check_count

MOST = 1000  # a file of somebody else may ask for any number


@dataclass(frozen=True)
class Estimate(NetworkInput):
    """
    Shows the inverse's own answer x̂, to which the network adds what it has learned:

        x̂ = P⁻¹(y*; x₀),   f(y*; θ) = x̂ + net(y*, x̂, …; θ)

    Args:
        iterations: How many times the inverse goes on from its last answer. One is enough where it is in closed form.
        solver: Numerical inverse. Default: the physics' own inverse, or the default solver.

    Raises:
        ParameterError: if `iterations` is no integer from 1 to 1000.
    """

    name: ClassVar[str] = "estimate"
    is_estimate: ClassVar[bool] = True

    iterations: int = 1
    solver: InverseSolver | None = None

    def __post_init__(self) -> None:
        check_count("Estimate", "iterations", self.iterations)
        if self.iterations > MOST:
            raise ParameterError(f"Estimate: iterations = {self.iterations}, but at most {MOST} are made.")

    @property
    def on_host(self) -> bool:
        """Whether the solver leaves the framework."""
        return self.solver is not None and self.solver.on_host

    def of(self, observed: Observed) -> Any:
        return observed.inverted(self.iterations, self.solver).x_target
