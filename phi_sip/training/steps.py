"""The steps of a run, one after the other, and what happens when one fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ..data.batches import as_batch
from ..errors import CheckpointError, TrainingError
from ..update import SipUpdate
from .callbacks import Callback
from .records import RunRecord, StepRecord
from .saving import Saving
from .states.base import TrainingState
from .stopping import StoppingRule
from .validation import Validation

Data = Callable[[int], Iterator[Any]]


@dataclass(frozen=True)
class Plan:
    """When something is done; see `train`."""

    steps: int | None
    stop: Sequence[StoppingRule]
    validate_every: int
    checkpoint_every: int
    keep_best: str | None

    def best(self, run: RunRecord) -> int | None:
        """The step of the validation whose state is kept besides."""
        found = run.best(self.keep_best) if self.keep_best else None
        return found.step if found else None

    def reason(self, run: RunRecord, step: int) -> str | None:
        """Why the run ends after `step` steps, if it does."""
        if self.steps is not None and step >= self.steps:
            return "all steps are done"
        return next((reason for rule in self.stop if (reason := rule.reason(run))), None)


class Steps:
    """
    A run from its beginning, or its last checkpoint, to its end.

    Args:
        plan: When what is done.
        state: Network and optimizer.
        update: Makes one update, of y* and x_true.
        prepare: Makes all variables, from y*.
        validation: What is validated, if anything.
        saving: Where it is saved, if anywhere.
        callbacks: Who is told.
        check_interrupt: Raises `KeyboardInterrupt` if there was a Ctrl-C or a SIGTERM.
    """

    def __init__(
        self,
        plan: Plan,
        state: TrainingState,
        update: Callable[[Any, Any], SipUpdate],
        prepare: Callable[[Any], None],
        validation: Validation | None,
        saving: Saving | None,
        callbacks: Sequence[Callback],
        check_interrupt: Callable[[], None],
    ) -> None:
        self._plan, self._state, self._update, self._prepare = plan, state, update, prepare
        self._validation, self._saving, self._callbacks = validation, saving, callbacks
        self._check_interrupt = check_interrupt
        self._run = RunRecord("training")
        self._step = self._saved = 0
        self._updating = False

    def run(self, data: Data) -> RunRecord:
        """Does all steps that are left."""
        before = self._saving.find() if self._saving else None
        self._step = self._saved = before[0] if before else 0
        with _closing(data(self._step + 1)) as batches:
            first = next(batches, None)
            if first is not None:
                self._prepare(as_batch(first).y_target)
            if self._saving:
                self._run = self._saving.start(before and before[1])
            if before is None:
                self._go_on(first, batches)
        if before is not None:  # drawn anew, from random numbers that are as they were
            with _closing(data(self._step + 1)) as batches:
                self._go_on(None, batches)
        return self._run

    def _go_on(self, first: Any, batches: Iterator[Any]) -> None:
        try:
            self._tell(lambda callback: callback.on_start(self._run))
            reason = self._loop(first, batches)
            self._validate()
            self._save()
        except BaseException as error:
            saved = self._rescue(error)
            if isinstance(error, Exception) and not isinstance(error, CheckpointError):
                raise TrainingError(f"Step {self._step + 1} failed: {type(error).__name__}: {error} {saved}") from error
            raise
        self._tell(lambda callback: callback.on_end(self._run, reason))

    def _loop(self, batch: Any, batches: Iterator[Any]) -> str:
        """Steps until the end; returns why it ended."""
        while (reason := self._plan.reason(self._run, self._step)) is None:
            self._check_interrupt()
            start = time.perf_counter()
            if batch is None and (batch := next(batches, None)) is None:
                return "the data are at their end"
            self._do(batch, start)
            batch = None
            if self._step % self._plan.validate_every == 0:
                self._validate()
            if self._step % self._plan.checkpoint_every == 0:
                self._save()
        return reason

    def _do(self, item: Any, start: float) -> None:
        batch, learning_rate = as_batch(item), self._state.learning_rate
        self._updating = True
        update = self._update(batch.y_target, batch.x_true)
        self._state.advance()
        self._step += 1
        self._updating = False
        record = self._record(update, start, learning_rate)
        self._run.steps.append(record)
        self._tell(lambda callback: callback.on_step(record))

    def _record(self, update: SipUpdate, start: float, learning_rate: float | None) -> StepRecord:
        loss, y_l2 = float(update.loss.mean), float(update.y_l2.mean)
        x_l2 = None if update.x_l2 is None else float(update.x_l2.mean)
        seconds = time.perf_counter() - start
        return StepRecord(self._step, self._run.elapsed + seconds, seconds, loss, y_l2, x_l2, learning_rate)

    def _validate(self) -> None:
        done = self._run.validations[-1].step if self._run.validations else -1
        if self._validation is None or done == self._step:
            return
        record, samples = self._validation.run(self._step, self._run.elapsed)
        self._run.validations.append(record)
        self._tell(lambda callback: callback.on_validation(record, samples))
        if self._plan.best(self._run) == self._step:
            self._save()

    def _save(self) -> None:
        if self._saving is None or self._saved == self._step:
            return
        self._tell(lambda callback: callback.on_checkpoint(self._step))
        self._saving.save(self._step, self._plan.best(self._run))
        self._saved = self._step

    def _rescue(self, error: BaseException) -> str:
        """Saves what has been learned, unless an interruption came within an update. Returns what was done."""
        saved = "Nothing is saved, as no folder was given."
        if self._saving is not None:
            half_done = self._updating and not isinstance(error, Exception)
            if not half_done and not isinstance(error, CheckpointError):
                with suppress(CheckpointError):
                    self._save()
            place = self._saving.folder
            known = f"The state after step {self._saved} is saved in {place}."
            saved = known if self._saved else f"Nothing has been saved in {place} yet."
        reason = "interrupted." if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        for callback in self._callbacks:
            with suppress(Exception):  # an error is on its way already
                callback.on_end(self._run, f"{reason} {saved}")
        return saved

    def _tell(self, about: Callable[[Callback], None]) -> None:
        for callback in self._callbacks:
            about(callback)


@contextmanager
def _closing(batches: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Ends the threads of what makes data ahead."""
    batches = iter(batches)
    try:
        yield batches
    finally:
        close = getattr(batches, "close", None)
        if close:
            close()
