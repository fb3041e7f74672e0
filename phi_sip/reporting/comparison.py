"""Numbers of several runs side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..training.records import RunRecord, ValidationRecord
from .folders import read_folders


@dataclass(frozen=True)
class Row:
    """
    One run.

    Attributes:
        name: Of the run.
        steps: Number of steps done.
        seconds: Of training.
        seconds_per_step: Median.
        quantity: What the errors are: `x_l2` where the truth is known in all runs, else `y_l2`.
        final: Last validation error; `None` without validation.
        best, best_step: Least validation error, and when.
        ratio: `final` ÷ that of the first run.
        alone: Validation error of the inverse alone, without a network; `None` where it is not known.
        seconds_to_common: Seconds until the error that all runs reach, the largest of their least ones.
        risk: Last risk, see `ValidationRecord`; `None` where it is not known.
        ended: How it ended.
    """

    name: str
    steps: int
    seconds: float
    seconds_per_step: float | None
    quantity: str
    final: float | None
    best: float | None
    best_step: int | None
    ratio: float | None
    alone: float | None
    seconds_to_common: float | None
    risk: float | None
    ended: str


def compare(paths: list[Path]) -> list[Row]:
    """
    Returns a row for each run in these folders, the first being what others are compared with.

    Raises:
        RecordError: if a folder holds no run.
    """
    return rows_of([folder.run for folder in read_folders(paths)])


def rows_of(runs: list[RunRecord]) -> list[Row]:
    """Returns a row for each run."""
    known = all(record.x_l2 is not None for run in runs for record in run.validations)
    quantity = "x_l2" if known else "y_l2"
    least = [min(errors) for run in runs if (errors := [getattr(v, quantity) for v in run.validations])]
    common = max(least) if len(least) == len(runs) > 0 else None
    first = _final(runs[0], quantity) if runs else None
    return [_row(run, quantity, common, first) for run in runs]


def _row(run: RunRecord, quantity: str, common: float | None, first: float | None) -> Row:
    def error(record: ValidationRecord) -> float:
        value: float = getattr(record, quantity)
        return value

    final, best = _final(run, quantity), min(run.validations, key=error, default=None)
    reached = next((v.elapsed for v in run.validations if common is not None and error(v) <= common), None)
    return Row(
        run.name,
        run.last_step,
        run.elapsed,
        float(np.median([record.seconds for record in run.steps])) if run.steps else None,
        quantity,
        final,
        error(best) if best else None,
        best.step if best else None,
        _ratio(final, first),
        run.error_alone(quantity),
        reached,
        run.validations[-1].risk if run.validations else None,
        ending(run),
    )


def ending(run: RunRecord) -> str:
    """Returns how a run ended, as its folder says."""
    said = run.info.get("ended")
    return said if isinstance(said, str) else "still running, or killed"


def _ratio(final: float | None, first: float | None) -> float | None:
    """Returns `None` where the ratio is not known or no number."""
    ratio = final / first if final is not None and first else None
    return ratio if ratio is not None and math.isfinite(ratio) else None


def _final(run: RunRecord, quantity: str) -> float | None:
    return getattr(run.validations[-1], quantity) if run.validations else None
