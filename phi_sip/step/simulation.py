"""What a teacher simulates for an update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeGuard

from phiml import math
from phiml.math import Tensor

from ..contract.target import SimulatingTarget, TrainingTarget
from ..contract.trainable import Trainable
from ..contract.update import UpdateRequest
from ..states import trees
from .part import Part
from .prediction import shown_to_network
from .verdict import Verdict

REMEDY = "Nothing was changed. The states that are simulated grow: lower the learning rate, or bias_correction."


@dataclass(frozen=True, eq=False)
class Simulated:
    """
    Simulated observations.

    Attributes:
        y: Observations.
        x: Their states.
        seen: What the network is shown of them.
        applied: Whether everything is finite.
    """

    y: Any
    x: Any
    seen: Sequence[Any]
    applied: Tensor = field(default_factory=lambda: math.wrap(True))


def simulates(target: TrainingTarget | None) -> TypeGuard[SimulatingTarget]:
    """Tells whether an update with a teacher is made with observations that were simulated before."""
    return isinstance(target, SimulatingTarget)


@dataclass(frozen=True)
class Simulation:
    """
    Simulates observations by the target of a request.

    Args:
        is_taught: Whether by what the teacher answers.

    Raises:
        NonFiniteError: if the observations, or what is simulated, hold NaN or infinity.
    """

    is_taught: bool
    what: ClassVar[str] = "What a teacher simulates"

    def __call__(self, trainable: Trainable, request: UpdateRequest) -> Simulated:
        target, verdict = request.targets, Verdict(trainable)
        assert simulates(target)
        part = Part(trainable, request, verdict)
        with trainable.backend, math.precision(trees.precision_of(request.y_target)):
            context = replace(part.context(part.observation()), taught=self.is_taught)
            shown, states = target.simulate(context)
            seen = shown_to_network(shown, request.inputs)
            verdict.expect_finite(self.what, (shown.y_target, states, *seen), REMEDY)
        return Simulated(shown.y_target, states, tuple(seen), verdict.noted())
