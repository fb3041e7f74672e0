"""Who is told what happens in a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from .attempts import Attempts
from .callbacks import Arrays, Callback
from .records import RunRecord, StepRecord, ValidationRecord


class Listeners:
    """
    Tells the files of a run, if there are any, and then its callbacks, in their order.

    Args:
        files: What writes the records.
        callbacks: Those of the user, and the progress.
    """

    def __init__(self, files: Callback | None, callbacks: Sequence[Callback]) -> None:
        self._files = () if files is None else (files,)
        self._callbacks = tuple(callbacks)
        self._checkpoint = 0  # the last step whose checkpoint callbacks were told of
        self._to_tell: list[Callback] = []  # those that were not told of it yet

    def start(self, run: RunRecord) -> None:
        """Tells that the run begins or goes on."""
        for listener in (*self._files, *self._callbacks):
            listener.on_start(run)

    def write(self, record: StepRecord) -> None:
        """Writes a step into the files, before anybody else hears of it."""
        for files in self._files:
            files.on_step(record)

    def step(self, record: StepRecord) -> None:
        """Tells the callbacks of a step."""
        for callback in self._callbacks:
            callback.on_step(record)

    def validation(self, record: ValidationRecord, samples: Arrays) -> None:
        """Tells the result of a validation."""
        for listener in (*self._files, *self._callbacks):
            listener.on_validation(record, samples)

    def checkpoint(self, step: int) -> None:
        """Tells that the state after `step` steps is about to be saved."""
        for listener in self._not_told(step):
            listener.on_checkpoint(step)

    def last_checkpoint(self, step: int, attempts: Attempts) -> None:
        """Tells the same to those who have not heard of it, after an error."""
        for listener in self._not_told(step):
            attempts.make(f"{type(listener).__name__}.on_checkpoint", partial(listener.on_checkpoint, step))

    def end(self, run: RunRecord, reason: str, attempts: Attempts) -> BaseException | None:
        """Tells everyone that the run has ended. Returns the first error of someone who was told."""
        failures = [
            attempts.make(f"{type(listener).__name__}.on_end", partial(listener.on_end, run, reason))
            for listener in (*self._files, *self._callbacks)
        ]
        return next((failure for failure in failures if failure is not None), None)

    def _not_told(self, step: int) -> Iterator[Callback]:
        """Yields the files, and each callback once for the checkpoint of a step, also if one of them raises."""
        if self._checkpoint != step:
            self._checkpoint, self._to_tell = step, [*self._callbacks]
        yield from self._files
        while self._to_tell:
            yield self._to_tell.pop(0)
