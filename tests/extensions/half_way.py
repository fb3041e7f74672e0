"""A target of a stranger: half of the way from the prediction to the state that the inverse finds."""

from dataclasses import dataclass
from typing import ClassVar

from phi_sip import TrainingTarget, hookimpl
from phi_sip.contract.target import Corrected, Lesson
from phi_sip.states import trees


@dataclass(frozen=True)
class HalfWay(TrainingTarget):
    """x̃ = (x + P⁻¹(y*)) / 2."""

    name: ClassVar[str] = "half-way"
    part: float = 0.5

    def lesson(self, context):
        estimate = context.observed.inverted().x_target

        def correct(answers):
            return [Corrected(trees.scale(trees.subtract(estimate, answers[0]), self.part))]

        return Lesson([context.observed], correct)


@hookimpl
def sip_targets():
    return [HalfWay]
