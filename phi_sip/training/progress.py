"""Progress on the terminal; plain lines where there is none."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..text.printable import in_one_line, printable, sentence
from .callbacks import Arrays, Callback
from .records import RISK, RunRecord, StepRecord, ValidationRecord

SECONDS_BETWEEN_LINES = 10.0


class ProgressBar(Callback):
    """A bar with losses, rate and time left, and a line for each validation."""

    def __init__(self, console: Console, steps: int | None) -> None:
        self._console, self._steps = console, steps
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}", markup=False),
            console=console,
        )
        self._task: TaskID | None = None

    def on_start(self, run: RunRecord) -> None:
        self._task = self._progress.add_task(
            in_one_line(run.name), total=self._steps, completed=run.last_step, losses=""
        )
        self._progress.start()

    def on_step(self, record: StepRecord) -> None:
        if self._task is not None:
            shown = f"{losses(record)}, {record.seconds:.2f} s/step"
            self._progress.update(self._task, completed=record.step, losses=shown)

    def on_validation(self, record: ValidationRecord, samples: Arrays) -> None:
        self._console.print(f"step {record.step}, validation: {losses(record)}", markup=False)

    def on_end(self, run: RunRecord, reason: str) -> None:
        self._progress.stop()
        self._console.print(printable(f"Ended after step {run.last_step}: {sentence(reason)}"), markup=False)


class ProgressLines(Callback):
    """A line every ten seconds, for each validation and at the end, for log files."""

    def __init__(self, console: Console, steps: int | None) -> None:
        self._console, self._total = console, "" if steps is None else f"/{steps}"
        self._next = 0.0

    def on_step(self, record: StepRecord) -> None:
        if record.elapsed >= self._next:
            self._next = record.elapsed + SECONDS_BETWEEN_LINES
            self._print(f"step {record.step}{self._total}: {losses(record)}, {record.seconds:.2f} s/step")

    def on_validation(self, record: ValidationRecord, samples: Arrays) -> None:
        self._print(f"step {record.step}{self._total}, validation: {losses(record)}")

    def on_end(self, run: RunRecord, reason: str) -> None:
        self._print(f"Ended after step {run.last_step}: {sentence(reason)}")

    def _print(self, line: str) -> None:
        self._console.print(printable(line), soft_wrap=True, highlight=False, markup=False)


def progress_on(console: Console, steps: int | None) -> Callback:
    """Returns what suits the console: a bar on a terminal, lines elsewhere."""
    return (ProgressBar if console.is_terminal else ProgressLines)(console, steps)


def losses(record: StepRecord | ValidationRecord) -> str:
    """Says the errors of a record, in short."""
    known = "" if record.x_l2 is None else f"x error {record.x_l2:.4g}, "
    risk = getattr(record, RISK, None)
    return f"{known}y error {record.y_l2:.4g}" + ("" if risk is None else f", risk {risk:.4g}")
