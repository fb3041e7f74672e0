"""Plain records of a training run: numbers only, for plots, tables and files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .contract.update import SipUpdate


@dataclass
class TrainingRecord:
    """
    What happened in each step of one run; losses are means over the batch.

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
        """Adds one step."""
        self.loss.append(float(update.loss.mean))
        self.x_l2.append(float("nan") if update.x_l2 is None else float(update.x_l2.mean))
        self.y_l2.append(float(update.y_l2.mean))
        self.seconds.append(seconds)

    def final(self, quantity: str, last: int = 10) -> float:
        """Mean of `quantity` over the last steps; NaN if there are none."""
        values = getattr(self, quantity)[-last:]
        return float(np.mean(values)) if values else float("nan")


def save_records(records: Iterable[TrainingRecord], path: str | Path) -> None:
    """Writes records as JSON."""
    Path(path).write_text(json.dumps([dataclasses.asdict(record) for record in records], indent=1))


def load_records(path: str | Path) -> list[TrainingRecord]:
    """Reads what `save_records` wrote."""
    return [TrainingRecord(**entry) for entry in json.loads(Path(path).read_text())]
