"""What happened in a training run, as plain numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..contract.update import SipUpdate

RISK = "risk"
QUANTITIES = ("x_l2", "y_l2", RISK)  # errors of a validation
SAVED = "saved"  # key of run.json: the step of the last checkpoint
ALONE = "inverse_alone"  # key of run.json: validation errors of the inverse without a network
KEPT_AFTER = "best_states_after"  # key of run.json: best states are kept of validations after this step


@dataclass(frozen=True)
class StepRecord:
    """
    One training step. Losses are means over the batch of sums over cells.

    Attributes:
        step: Its number, from 1.
        elapsed: Seconds of training up to its end, those before an interruption included.
        seconds: Of this step, its data included.
        loss: Proxy loss ½ ‖x − x̃‖².
        y_l2: ½ ‖y − y*‖².
        x_l2: ½ ‖x − x_true‖²; `None` where the truth is not known.
        learning_rate: Of this step, if the optimizer tells.
        further: Numbers that plugins record, by name, see the hook `sip_record`.
    """

    step: int
    elapsed: float
    seconds: float
    loss: float
    y_l2: float
    x_l2: float | None = None
    learning_rate: float | None = None
    further: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ValidationRecord:
    """
    The network on samples that it is not trained on, after `step` steps.

    Attributes:
        step: Number of training steps before.
        elapsed: Seconds of training before.
        y_l2: ½ ‖P(x) − y*‖².
        x_l2: ½ ‖x − x_true‖²; `None` where the truth is not known.
        risk: Estimated error less that of the inverse alone, without a truth, see `RiskEstimate`: below 0 where the
            network is better. `None` where nobody has asked for it.
    """

    step: int
    elapsed: float
    y_l2: float
    x_l2: float | None = None
    risk: float | None = None


@dataclass(frozen=True)
class RunRecord:
    """
    A training run.

    Attributes:
        name: For legends.
        info: What is known about it, see `run.json`: framework, physics, versions.
        steps: One per step.
        validations: One per validation.
    """

    name: str
    info: dict[str, Any] = field(default_factory=dict)
    steps: list[StepRecord] = field(default_factory=list)
    validations: list[ValidationRecord] = field(default_factory=list)

    @property
    def last_step(self) -> int:
        """Number of steps done: that of the last record or of the last checkpoint, if its records are lost."""
        return max(self.steps[-1].step if self.steps else 0, self.saved_step)

    @property
    def saved_step(self) -> int:
        """The step of the last checkpoint; 0 if there is none."""
        saved = self.info.get(SAVED, 0)
        return saved if type(saved) is int else 0

    @property
    def elapsed(self) -> float:
        """Seconds of training."""
        return self.steps[-1].elapsed if self.steps else 0.0

    def error_alone(self, quantity: str) -> float | None:
        """Returns the validation error `x_l2` or `y_l2` of the inverse without a network; `None` if it is not known."""
        errors = self.info.get(ALONE)
        error = errors.get(quantity) if isinstance(errors, dict) else None
        return float(error) if isinstance(error, (int, float)) and 0 <= error < np.inf else None

    def errors(self, quantity: str) -> list[float]:
        """Returns the validation errors `x_l2`, `y_l2` or `risk`, one for each validation that knows it."""
        found = (getattr(record, quantity) for record in self.validations)
        return [error for error in found if error is not None]

    def best(self, quantity: str, after: int = 0) -> ValidationRecord | None:
        """Returns the first validation with the least error, of those after so many steps; `None` if there is none."""
        known = [record for record in self.validations if getattr(record, quantity) is not None and record.step > after]
        return min(known, key=lambda record: getattr(record, quantity), default=None)

    def best_kept(self, quantity: str) -> ValidationRecord | None:
        """Returns the validation whose state `keep_best` keeps; `None` if there is none."""
        return self.best(quantity, self.info.get(KEPT_AFTER, 0))

    def up_to(self, step: int) -> RunRecord:
        """Returns what had happened after so many steps."""
        return RunRecord(
            self.name,
            {key: min(value, step) if key == SAVED else value for key, value in self.info.items()},
            [record for record in self.steps if record.step <= step],
            [record for record in self.validations if record.step <= step],
        )

    def as_training_record(self) -> TrainingRecord:
        """Returns the steps as lists of numbers, as `phi_sip.plots` takes them."""
        record = TrainingRecord(self.name)
        for step in self.steps:
            record.add(step.seconds, step.loss, step.y_l2, step.x_l2)
        return record


@dataclass
class TrainingRecord:
    """
    The steps of one run as lists of numbers, for plots, tables and files. Losses are means over the batch.

    Attributes:
        method: Name of the method, for legends.
        loss: Proxy loss ½ ‖x − x̃‖².
        x_l2: ½ ‖x − x_true‖²; NaN where the truth is not known.
        y_l2: ½ ‖y − y*‖².
        seconds: Wall time of the step.
    """

    method: str
    loss: list[float] = field(default_factory=list)
    x_l2: list[float] = field(default_factory=list)
    y_l2: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def append(self, update: SipUpdate, seconds: float) -> None:
        """Adds what an update reports."""
        self.add(seconds, *losses_of(update))

    def add(self, seconds: float, loss: float, y_l2: float, x_l2: float | None) -> None:
        """Adds the numbers of one step."""
        self.loss.append(loss)
        self.x_l2.append(float("nan") if x_l2 is None else x_l2)
        self.y_l2.append(y_l2)
        self.seconds.append(seconds)

    def final(self, quantity: str, last: int = 10) -> float:
        """Returns the mean of `quantity` over the last steps; NaN if there are none."""
        values = getattr(self, quantity)[-last:]
        return float(np.mean(values)) if values else float("nan")


def losses_of(update: SipUpdate) -> tuple[float, float, float | None]:
    """Returns `loss`, `y_l2` and, where the truth is known, `x_l2` of an update, as means over its batch."""
    x_l2 = None if update.x_l2 is None else float(update.x_l2.mean)
    return float(update.loss.mean), float(update.y_l2.mean), x_l2


def save_records(records: Iterable[TrainingRecord], path: str | Path) -> None:
    """Writes records as JSON."""
    Path(path).write_text(json.dumps([asdict(record) for record in records], indent=1))


def load_records(path: str | Path) -> list[TrainingRecord]:
    """Reads what `save_records` wrote."""
    return [TrainingRecord(**entry) for entry in json.loads(Path(path).read_text())]
