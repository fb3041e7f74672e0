"""The steps of a run, one after the other, and what happens when one fails."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..contract.training_state import TrainingState
from ..contract.update import SipUpdate
from ..data.batches import Batch
from ..errors import CheckpointError, NonFiniteError, ParameterError, RunFolderError, TrainingError, TrainingWarning
from ..interrupts import uninterrupted
from ..text.printable import sentence
from .batches import Batches, Data
from .callbacks import Callback
from .files import RunFiles
from .records import RunRecord, StepRecord
from .saving import KEPT_AFTER, Saving
from .stopping import StoppingRule
from .validation import Validation


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
        found = run.best(self.keep_best, run.info.get(KEPT_AFTER, 0)) if self.keep_best else None
        return found.step if found else None

    def reason(self, run: RunRecord, step: int) -> str | None:
        """Why the run ends after `step` steps, if it does."""
        if self.steps is not None and step >= self.steps:
            return "all steps are done"
        return next((reason for rule in self.stop if (reason := rule.reason(run))), None)


class Steps:
    """
    A run from its beginning, or its last checkpoint, to its end.

    An error can come from anywhere: data, physics, network, validation, callbacks, disks, signals. Wherever it comes
    from, an update is done and counted or it is not done; the state after the last one is saved, in one attempt, and
    the records say how the run ended. Then it is raised.

    Args:
        plan: When what is done.
        state: Network and optimizer.
        update: Makes one update, of y* and x_true.
        prepare: Makes all variables, from y*.
        describe: What is known of the run by its first observation.
        validation: What is validated, if anything.
        saving: Where it is saved, if anywhere.
        files: What writes the records there.
        callbacks: Who is told.
        check_interrupt: Raises `KeyboardInterrupt` if there was a Ctrl-C or a SIGTERM.
    """

    def __init__(
        self,
        plan: Plan,
        state: TrainingState,
        update: Callable[[Any, Any], SipUpdate],
        prepare: Callable[[Any], None],
        describe: Callable[[Any], dict[str, Any]],
        validation: Validation | None,
        saving: Saving | None,
        files: RunFiles | None,
        callbacks: Sequence[Callback],
        check_interrupt: Callable[[], None],
    ) -> None:
        self._plan, self._state, self._update, self._prepare = plan, state, update, prepare
        self._describe, self._validation, self._saving, self._files = describe, validation, saving, files
        self._callbacks, self._check_interrupt = callbacks, check_interrupt
        self._run = RunRecord("training")
        self._step = self._saved = 0
        self._told_of, self._left_to_tell = 0, list[Callback]()
        self._started = False

    def run(self, data: Data) -> RunRecord:
        """Does all steps that are left."""
        before = self._saving.find() if self._saving else None
        self._step = self._saved = before[0] if before else 0
        batches: Batches | None = None
        try:
            batches = Batches(data, self._step + 1)
            first = self._begin(batches, before and before[1])
            if before is not None:  # drawn anew, from random numbers that are as they were
                batches.open(self._step + 1)
                first = None
            self._tell((*self._log, *self._callbacks), lambda callback: callback.on_start(self._run))
            reason = self._loop(first, batches)
            self._validate()
            self._save()
            batches.close()
        except BaseException as error:
            raised = self._ended_by(error, batches)
            if raised is error:
                raise
            raise raised from error
        self._end(reason)
        return self._run

    def _begin(self, batches: Batches, before: RunRecord | None) -> Batch | None:
        """Makes all variables, and puts back what was saved."""
        first = batches.next()
        observed = first if first is not None or self._validation is None else self._validation.first
        if observed is not None:
            self._prepare(observed.y_target)
        if self._validation is not None:
            self._validation.check()
        if self._saving:
            self._run = self._saving.start(before, {} if observed is None else self._describe(observed.y_target))
        self._started = True
        return first

    def _loop(self, batch: Batch | None, batches: Batches) -> str:
        """Steps until the end; returns why it ended."""
        while (reason := self._plan.reason(self._run, self._step)) is None:
            self._check_interrupt()
            start = time.perf_counter()
            batch = batch or batches.next()
            if batch is None:
                return self._out_of_data()
            self._do(batch, start)
            batch = None
            if self._step % self._plan.validate_every == 0:
                self._validate()
            if self._step % self._plan.checkpoint_every == 0:
                self._save()
        return reason

    def _out_of_data(self) -> str:
        if self._step == 0:
            raise ParameterError("data(1) yields no batch: there is nothing to train on. Look at what makes it.")
        if self._plan.steps is None:
            return f"the data are at their end after {self._step} steps"
        reason = f"the data are at their end after {self._step} of {self._plan.steps} steps"
        warnings.warn(
            f"The training ends early: {reason}. Let data(step) go on yielding batches, e.g. by by_step(make), or ask "
            f"for fewer steps.",
            TrainingWarning,
            stacklevel=2,
        )
        return reason

    def _do(self, batch: Batch, start: float) -> None:
        with uninterrupted():
            learning_rate = self._state.learning_rate
            update = self._update(batch.y_target, batch.x_true)
            record = self._record(update, start, learning_rate)
            self._step += 1
            self._run.steps.append(record)
            self._state.advance()
            self._tell(self._log, lambda files: files.on_step(record))
        if update.x_l2 is not None and record.x_l2 is None:
            raise NonFiniteError(
                f"x_l2 of step {self._step} is NaN or infinite: x_true of its batch is not finite. The weights do not "
                f"depend on it. Repair these samples, or leave x_true out."
            )
        self._tell(self._callbacks, lambda callback: callback.on_step(record))

    def _record(self, update: SipUpdate, start: float, learning_rate: float | None) -> StepRecord:
        loss, y_l2 = float(update.loss.mean), float(update.y_l2.mean)
        x_l2 = None if update.x_l2 is None else float(update.x_l2.mean)
        seconds = time.perf_counter() - start
        record = StepRecord(self._step + 1, self._run.elapsed + seconds, seconds, loss, y_l2, x_l2, learning_rate)
        return record if x_l2 is None or math.isfinite(x_l2) else replace(record, x_l2=None)

    def _validate(self) -> None:
        done = self._run.validations[-1].step if self._run.validations else -1
        if self._validation is None or done == self._step:
            return
        record, samples = self._validation.run(self._step, self._run.elapsed)
        self._run.validations.append(record)
        self._tell((*self._log, *self._callbacks), lambda callback: callback.on_validation(record, samples))
        if self._plan.best(self._run) == self._step:
            self._save()

    def _save(self) -> None:
        if self._saving is None or self._saved == self._step:
            return
        self._tell(self._log, lambda files: files.on_checkpoint(self._step))
        for callback in self._not_told():
            callback.on_checkpoint(self._step)
        self._write_state()

    def _not_told(self) -> Iterator[Callback]:
        """Callbacks in turn, each once for the checkpoint of a step, also if one of them raises."""
        if self._told_of != self._step:
            self._told_of, self._left_to_tell = self._step, [*self._callbacks]
        while self._left_to_tell:
            yield self._left_to_tell.pop(0)

    def _write_state(self) -> None:
        assert self._saving is not None
        self._saving.save(self._step, self._plan.best(self._run))
        self._saved = self._step
        self._saving.note(self._step)

    def _ended_by(self, error: BaseException, batches: Batches | None) -> BaseException:
        """What is raised in the end, after all is saved that can be."""
        troubles: list[str] = []
        if batches is not None:
            _try("closing the data", batches.close, troubles)
        refused = isinstance(error, (CheckpointError, RunFolderError)) or (batches is None and _is_misuse(error))
        saved = self._rescue(error, troubles) if self._started else self._nothing_begun()
        what = f"{type(error).__name__}: {sentence(error)}" if str(error) else f"{type(error).__name__}."
        reason = "interrupted." if isinstance(error, KeyboardInterrupt) else what
        if self._started:
            self._tell_end(f"{reason} {saved}", troubles)
        if isinstance(error, Exception) and not refused:
            also = "".join(f" {trouble}" for trouble in troubles)
            return TrainingError(f"Step {self._step + 1} failed: {what} {saved}{also}")
        error.__notes__ = [*getattr(error, "__notes__", []), *troubles]
        return error

    def _rescue(self, error: BaseException, troubles: list[str]) -> str:
        """Saves what has been learned. Returns what is saved."""
        if self._saving is None:
            return "Nothing is saved, as no folder was given."
        if self._saved != self._step and not isinstance(error, CheckpointError):
            for listener in (*self._log, *self._not_told()):
                what = f"{type(listener).__name__}.on_checkpoint"
                _try(what, partial(listener.on_checkpoint, self._step), troubles)
            _try(f"saving the state after step {self._step}", self._write_state, troubles)
        return self._nothing_begun()

    def _nothing_begun(self) -> str:
        if self._saving is None:
            return "Nothing is saved, as no folder was given."
        place = self._saving.folder
        if not self._saved:
            return f"Nothing has been saved in {place} yet."
        return f"The state after step {self._saved} is saved in {place}."

    def _end(self, reason: str) -> None:
        """Tells everyone. The run is done and saved, even if one of them fails."""
        troubles: list[str] = []
        failure = self._tell_end(reason, troubles)
        if isinstance(failure, Exception):
            raise TrainingError(
                f"The training has ended, as {reason}. {' '.join(troubles)} {self._nothing_begun()}"
            ) from failure
        if failure is not None:
            raise failure

    def _tell_end(self, reason: str, troubles: list[str]) -> BaseException | None:
        """Returns the first error of someone who was told."""
        self._run.info["ended"] = reason
        told = [(callback, f"{type(callback).__name__}.on_end") for callback in (*self._log, *self._callbacks)]
        failures = [_try(what, partial(callback.on_end, self._run, reason), troubles) for callback, what in told]
        return next((failure for failure in failures if failure is not None), None)

    @property
    def _log(self) -> tuple[RunFiles, ...]:
        return () if self._files is None else (self._files,)

    def _tell(self, listeners: Sequence[Callback], about: Callable[[Any], None]) -> None:
        for listener in listeners:
            about(listener)


def _try(what: str, action: Callable[[], None], troubles: list[str]) -> BaseException | None:
    """One attempt. If it fails, `troubles` says so, and the error is returned."""
    try:
        action()
    except BaseException as error:
        troubles.append(f"In {what}: {type(error).__name__}: {sentence(error)}")
        return error
    return None


def _is_misuse(error: BaseException) -> bool:
    return isinstance(error, ParameterError)
