"""What can stand in for a closed-form inverse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml.math import Tensor

from .physics import Correction, InvertiblePhysics

Solve = Callable[[Any], Correction]


class InverseSolver(ABC):
    """
    A numerical local inverse x̃ = P⁻¹(y_target; x).

    Attributes:
        name: Registry key of the class, see `get_solver`.
        on_host: Whether it leaves the framework, e.g. for SciPy, so that an update with it cannot be compiled.
        has_prior: Whether a prior decides what x̃ is, and x only where the search begins. A step size η then scales the
            step, as for linear physics: nothing but y* itself may be taken for an observation.
    """

    name: ClassVar[str] = ""
    on_host: ClassVar[bool] = False
    has_prior: ClassVar[bool] = False

    def begin(self, physics: InvertiblePhysics, x: Any) -> tuple[Any, Solve]:
        """
        Simulates a state, and returns what solves for observations near it. Solvers that differentiate the simulation
        override it, so that P(x) and its derivatives come from one simulation. It is not used for subclasses that
        override `solve` but not this.

        Args:
            physics: Process to invert.
            x: State around which to invert.

        Returns:
            y = P(x), and y_target ↦ `Correction` as by `solve`.
        """
        y = physics.forward(x)
        return y, lambda y_target: self.solve(physics, y_target, x, y)

    @abstractmethod
    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """
        Moves x so that the physics explains `y_target` better.

        Args:
            physics: Process to invert; only `forward` is used.
            y_target: Observation to be explained.
            x: State around which to invert.
            y: `physics.forward(x)`.

        Returns:
            `Correction` x̃ − x, with the `stats` of a `Convergence` if the method iterates.
        """


@dataclass(frozen=True)
class Convergence:
    """
    How an iteration ended, per batch entry.

    Attributes:
        iterations: How many were made.
        objective: ½ ‖P(x̃) − y_target‖².
        converged: Whether a stopping rule was met, rather than the limit of iterations or a step that did not help.
        simulations: Evaluations of P, J d or Jᵀ v, each about one simulation.
    """

    iterations: Tensor
    objective: Tensor
    converged: Tensor
    simulations: Tensor

    def stats(self) -> dict[str, Tensor]:
        """Returns all by name, as `Correction.stats`."""
        return dict(vars(self))
