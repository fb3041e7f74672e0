"""Ordinary supervised training, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.target import Corrected, Lesson, TargetContext, TrainingTarget
from ..errors import ParameterError
from ..states import trees


@dataclass(frozen=True)
class Labels(TrainingTarget):
    """
    Draws the prediction to the true state, L = ½ ‖x − x_true‖². It is the limit of what training without labels can
    reach, and needs `x_true`.
    """

    name: ClassVar[str] = "labels"
    uses: ClassVar[tuple[str, ...]] = ("x_true",)

    def check(self, context_has_truth: bool) -> None:
        if not context_has_truth:
            raise ParameterError("targets = Labels(), but there are no labels. Give x_true=, or batches with x_true.")

    def lesson(self, context: TargetContext) -> Lesson:
        def correct(answers: Sequence[Any]) -> list[Corrected]:
            return [Corrected(trees.scale(trees.subtract(answers[0], context.x_true), -1))]

        return Lesson([context.observed], correct)
