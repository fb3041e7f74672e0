"""An observation, and what its inversions tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..contract.inputs import Observed
from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.step import SipStep
from ..regularization import Regularization
from ..regularization.shared_fits import Fits, SharingFits
from .operator import invert
from .rules import rule_of, with_rule


class InvertedObservation(Observed):
    """
    An observation y* that is inverted when somebody asks for it, and once only. Rules that invert it fit its spectrum
    once.

    Args:
        physics: Process that made the observation.
        y_target: Observation y*, known to be finite.
        seen: See `Observed`.
    """

    def __init__(self, physics: InvertiblePhysics, y_target: Any, seen: Sequence[Any] = ()) -> None:
        super().__init__(physics, y_target, seen)
        self._steps: dict[int, list[SipStep]] = {}
        self._solvers: list[InverseSolver | None] = []
        self._fits: Fits = {}

    def inverted(self, iterations: int = 1, solver: InverseSolver | None = None) -> SipStep:
        if not any(known is solver for known in self._solvers):
            self._solvers.append(solver)
        steps = self._steps.setdefault(next(i for i, known in enumerate(self._solvers) if known is solver), [])
        rule = rule_of(self.physics) if solver is None else None
        physics = self.physics if rule is None else self.by_rule(rule) or self.physics
        while len(steps) < iterations:
            x = steps[-1].x_target if steps else self.physics.initial_state(self.y_target)
            steps.append(invert(physics, self.y_target, x, 1.0, solver))
        return steps[iterations - 1]

    def by_rule(self, rule: Regularization) -> InvertiblePhysics | None:
        shares = self.physics.rules_see_observation_only
        return with_rule(self.physics, SharingFits(rule, self._fits) if shares else rule)
