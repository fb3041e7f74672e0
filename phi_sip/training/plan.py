"""When a run validates, saves and ends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError
from ..states.checks import check_count
from .batch_physics import PhysicsBatch
from .records import RunRecord
from .stopping import StoppingRule, check_quantity

OF_VALIDATION, OF_FOLDER = ("validate_every",), ("checkpoint_every", "keep", "keep_best")


@dataclass(frozen=True)
class Plan:
    """
    What is done after which steps, see `train`.

    Raises:
        ParameterError: if a number is out of range, or nothing ends the run.
    """

    steps: int | None
    stop: Sequence[StoppingRule] = ()
    validate_every: int = 50
    checkpoint_every: int = 100
    keep: int = 3
    keep_best: str | None = None

    def __post_init__(self) -> None:
        for name in ("validate_every", "checkpoint_every", "keep", "steps"):
            if (count := getattr(self, name)) is not None:
                check_count("train", name, count)
        if self.keep_best is not None:
            check_quantity("train", "keep_best", self.keep_best)
        if not isinstance(self.stop, Sequence) or not all(isinstance(rule, StoppingRule) for rule in self.stop):
            raise ParameterError(f"train: stop = {self.stop!r}. Give a list of rules: stop=[WallTime(seconds)].")
        if self.steps is None and not self.stop:
            raise ParameterError("train: nothing ends the training. Give steps=, or stop=[WallTime(seconds)].")

    @property
    def needs(self) -> set[str]:
        """The validation errors by which the run ends or states are kept."""
        return {needed for needed in (self.keep_best, *(rule.needs for rule in self.stop)) if needed is not None}

    def check_needs(self, validation: Sequence[PhysicsBatch]) -> None:
        """
        Checks that the validation errors are known by which the run ends or states are kept.

        Raises:
            ParameterError: if one is not.
        """
        for needed in self.needs:
            if not validation:
                raise ParameterError(
                    f"train: {needed} of the validation is asked for, but there is none. Give validation=."
                )
            if needed == "x_l2" and any(batch.x_true is None for batch in validation):
                raise ParameterError(
                    "train: x_l2 of the validation is not known, as its samples have no x_true. Give them, or use risk."
                )

    def best_step(self, run: RunRecord) -> int | None:
        """Returns the step of the validation whose state is kept besides the newest ones."""
        found = run.best_kept(self.keep_best) if self.keep_best else None
        return found.step if found else None

    def reason_to_end(self, run: RunRecord) -> str | None:
        """Returns why the run ends after its last step; `None` if it goes on."""
        if self.steps is not None and run.last_step >= self.steps:
            return "all steps are done"
        return next((reason for rule in self.stop if (reason := rule.reason(run))), None)


def plan_of(
    steps: int | None, stop: Sequence[StoppingRule], folder: Any, validation: Sequence[PhysicsBatch], **options: Any
) -> Plan:
    """
    Returns the plan of a run from the arguments of `train`; `options` that are not given are `None`.

    Raises:
        ParameterError: if an argument is out of range or has no effect, or nothing ends the run.
    """
    given = {name: value for name, value in options.items() if value is not None}
    plan = Plan(steps, stop, **given)
    if folder is not None and (not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder)):
        raise ParameterError(f"train: folder = {folder!r}. Give the path of a folder, or leave it out.")
    for needed, name, of_it in ((validation, "validation", OF_VALIDATION), (folder, "folder", OF_FOLDER)):
        without = ", ".join(option for option in of_it if option in given)
        if without and not needed:
            raise ParameterError(f"train: {without} has no effect without {name}. Give {name}=, or leave it out.")
    plan.check_needs(validation)
    return plan
