"""The steps of a run, with validations and checkpoints between them."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import CheckpointError, NonFiniteError, ParameterError, TrainingWarning
from ..interrupts import uninterrupted
from .attempts import Attempts
from .batch_physics import PhysicsBatch
from .batches import Batches
from .checkpointer import Checkpointer
from .further_numbers import further_numbers
from .listeners import Listeners
from .plan import Plan
from .records import RunRecord, StepRecord, losses_of
from .task import TrainingTask
from .validation import Validation


@dataclass(frozen=True)
class TrainingLoop:
    """
    Trains step by step. An update is done and counted or it is not done: all that changes in a run is in its record.

    Attributes:
        plan: When what is done.
        task: What is trained.
        validation: What is validated, if anything.
        checkpointer: What saves the state, if it is saved.
        listeners: Who is told.
        check_interrupt: Raises `KeyboardInterrupt` if there was a Ctrl-C or a SIGTERM.
    """

    plan: Plan
    task: TrainingTask
    validation: Validation | None
    checkpointer: Checkpointer | None
    listeners: Listeners
    check_interrupt: Callable[[], None]

    def complete(self, run: RunRecord, batches: Batches, first: PhysicsBatch | None) -> str:
        """
        Does all steps that are left, validates and saves.

        Args:
            run: What has been done; what happens is added.
            batches: What is trained on.
            first: The first batch, if it has been taken out of them.

        Returns:
            Why the run has ended.
        """
        reason = self._train(run, batches, first)
        self._validate(run)
        self._save(run)
        return reason

    def rescue(self, run: RunRecord, error: BaseException, attempts: Attempts) -> None:
        """Saves after an error what has been learned, in one attempt."""
        if self.checkpointer is None or run.saved_step == run.last_step or isinstance(error, CheckpointError):
            return
        self.listeners.last_checkpoint(run.last_step, attempts)
        attempts.make(f"saving the state after step {run.last_step}", lambda: self._write_state(run))

    def saved(self, step: int) -> str:
        """Says in a sentence what is saved, if the last checkpoint is that of `step`."""
        if self.checkpointer is None:
            return "Nothing is saved, as no folder was given."
        return self.checkpointer.saved(step)

    def _train(self, run: RunRecord, batches: Batches, batch: PhysicsBatch | None) -> str:
        while (reason := self.plan.reason_to_end(run)) is None:
            self.check_interrupt()
            start = time.perf_counter()
            batch = batch or batches.next()
            if batch is None:
                return self._out_of_data(run.last_step)
            self._step(run, batch, start)
            batch = None
            if run.last_step % self.plan.validate_every == 0:
                self._validate(run)
            if run.last_step % self.plan.checkpoint_every == 0:
                self._save(run)
        return reason

    def _out_of_data(self, step: int) -> str:
        if step == 0:
            raise ParameterError("data(1) yields no batch: there is nothing to train on. Look at what makes it.")
        if self.plan.steps is None:
            return f"the data are at their end after {step} steps"
        reason = f"the data are at their end after {step} of {self.plan.steps} steps"
        warnings.warn(
            f"The training ends early: {reason}. Let data(step) go on yielding batches, e.g. by by_step(make), or ask "
            f"for fewer steps.",
            TrainingWarning,
            stacklevel=2,
        )
        return reason

    def _step(self, run: RunRecord, batch: PhysicsBatch, start: float) -> None:
        with uninterrupted():
            learning_rate = self.task.state.learning_rate
            update = self.task.update(batch)
            loss, y_l2, x_l2 = losses_of(update)
            further, failure = further_numbers(update)
            seconds = time.perf_counter() - start
            known = x_l2 is None or math.isfinite(x_l2)
            number, x_l2 = run.last_step + 1, x_l2 if known else None
            record = StepRecord(number, run.elapsed + seconds, seconds, loss, y_l2, x_l2, learning_rate, further)
            run.steps.append(record)
            self.task.state.advance()
            self.listeners.write(record)
        if not known:
            raise NonFiniteError(
                f"x_l2 of step {record.step} is NaN or infinite: x_true of its batch is not finite. The weights do not "
                f"depend on it. Repair these samples, or leave x_true out."
            )
        if failure is not None:
            raise failure
        self.listeners.step(record)

    def _validate(self, run: RunRecord) -> None:
        done = run.validations[-1].step if run.validations else -1
        if self.validation is None or done == run.last_step:
            return
        record, samples = self.validation.run(run.last_step, run.elapsed)
        run.validations.append(record)
        self.listeners.validation(record, samples)
        if self.plan.best_step(run) == run.last_step:
            self._save(run)

    def _save(self, run: RunRecord) -> None:
        if self.checkpointer is not None and run.saved_step != run.last_step:
            self.listeners.checkpoint(run.last_step)
            self._write_state(run)

    def _write_state(self, run: RunRecord) -> None:
        assert self.checkpointer is not None
        self.checkpointer.save(run, self.plan.best_step(run))
