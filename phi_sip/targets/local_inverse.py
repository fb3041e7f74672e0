"""Scale-invariant physics training as published: the network is drawn to a local inverse of the physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.target import Corrected, Lesson, TargetContext, TrainingTarget
from ..inversion.operator import invert


@dataclass(frozen=True)
class LocalInverse(TrainingTarget):
    """
    Draws the prediction to the state near it that explains the observation better:

        x = f(y*; θ),   x̃ = P⁻¹(y + η (y* − y); x),   L = ½ ‖x − x̃‖²

    It is the default of `sip_update_weights`. Each observation is explained by itself: the network learns to give what
    the inverse gives, and no more.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    Algorithm 1.
    """

    name: ClassVar[str] = "local-inverse"
    uses: ClassVar[tuple[str, ...]] = ("step_size", "solver")

    def lesson(self, context: TargetContext) -> Lesson:
        observed = context.observed

        def correct(answers: Sequence[Any]) -> list[Corrected]:
            step = invert(observed.physics, observed.y_target, answers[0], context.step_size, context.solver)
            return [Corrected(step.dx, step.y)]

        return Lesson([observed], correct)
