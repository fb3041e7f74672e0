"""An observation, and what its inversions tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..contract.inputs import Observed
from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.step import SipStep
from .operator import invert


class InvertedObservation(Observed):
    """
    An observation y* that is inverted when somebody asks for it, and once only.

    Args:
        physics: Process that made the observation.
        y_target: Observation y*, known to be finite.
        seen: See `Observed`.
    """

    def __init__(self, physics: InvertiblePhysics, y_target: Any, seen: Sequence[Any] = ()) -> None:
        super().__init__(physics, y_target, seen)
        self._steps: dict[int, list[SipStep]] = {}
        self._solvers: list[InverseSolver | None] = []

    def inverted(self, iterations: int = 1, solver: InverseSolver | None = None) -> SipStep:
        if not any(known is solver for known in self._solvers):
            self._solvers.append(solver)
        steps = self._steps.setdefault(next(i for i, known in enumerate(self._solvers) if known is solver), [])
        while len(steps) < iterations:
            x = steps[-1].x_target if steps else self.physics.initial_state(self.y_target)
            steps.append(invert(self.physics, self.y_target, x, 1.0, solver))
        return steps[iterations - 1]
