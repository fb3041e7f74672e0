"""A run from its beginning, or its last checkpoint, to its end, and what happens when something fails."""

from __future__ import annotations

from ..errors import CheckpointError, ParameterError, RunFolderError, TrainingError
from ..states import trees
from ..text.printable import sentence
from .attempts import Attempts
from .batch_physics import PhysicsBatch
from .batches import Batches, Data
from .loop import TrainingLoop
from .records import ALONE, RunRecord
from .resumption import EarlierRun, Resumption


def train_to_end(loop: TrainingLoop, resumption: Resumption | None, data: Data) -> RunRecord:
    """
    Runs a training loop.

    An error can come from anywhere: data, physics, network, validation, callbacks, disks, signals. Wherever it comes
    from, an update is done and counted or it is not done; the state after the last one is saved, in one attempt, and
    the records say how the run ended. Then it is raised.

    Args:
        loop: What does the steps.
        resumption: Where the run begins, if it is kept in a folder.
        data: As in `train`.

    Returns:
        The record of the whole run.
    """
    earlier = None if resumption is None else resumption.find()
    done = 0 if earlier is None else earlier.step
    batches: Batches | None = None
    run: RunRecord | None = None
    try:
        batches = Batches(data, done + 1, loop.task.physics)
        first = batches.next()
        run = _begin(loop, resumption, earlier, first)
        if earlier is not None:  # drawn anew, from random numbers that are as they were
            batches.open(done + 1)
            first = None
        loop.listeners.start(run)
        reason = loop.complete(run, batches, first)
        batches.close()
    except BaseException as error:
        raised = _after_error(error, loop, run, done, batches)
        if raised is error:
            raise
        raise raised from error
    _end(loop, run, reason)
    return run


def _begin(
    loop: TrainingLoop, resumption: Resumption | None, earlier: EarlierRun | None, first: PhysicsBatch | None
) -> RunRecord:
    """Makes all variables, and puts back what was saved."""
    observed = first if first is not None or loop.validation is None else loop.validation.first
    if observed is not None:
        loop.task.prepare(observed)
    if loop.validation is not None:
        loop.validation.check()
    alone = None if loop.validation is None else loop.validation.invert_alone()  # which may draw random numbers
    more = {} if observed is None else {"precision": trees.precision_of(observed.y_target)}
    run = RunRecord("training") if resumption is None else resumption.begin(earlier, more)
    if alone is not None:
        run.info[ALONE] = alone
    return run


def _after_error(
    error: BaseException, loop: TrainingLoop, run: RunRecord | None, done: int, batches: Batches | None
) -> BaseException:
    """Saves all that can be saved, tells everyone, and returns what is raised in the end."""
    attempts = Attempts()
    if batches is not None:
        attempts.make("closing the data", batches.close)
    what = f"{type(error).__name__}: {sentence(error)}" if str(error) else f"{type(error).__name__}."
    if run is None:
        saved = loop.saved(done)
    else:
        loop.rescue(run, error, attempts)
        done, saved = run.last_step, loop.saved(run.saved_step)
        _tell_end(loop, run, f"{'interrupted.' if isinstance(error, KeyboardInterrupt) else what} {saved}", attempts)
    misused = batches is None and isinstance(error, ParameterError)
    if isinstance(error, Exception) and not isinstance(error, (CheckpointError, RunFolderError)) and not misused:
        also = "".join(f" {trouble}" for trouble in attempts.troubles)
        return TrainingError(f"Step {done + 1} failed: {what} {saved}{also}")
    error.__notes__ = [*getattr(error, "__notes__", []), *attempts.troubles]
    return error


def _end(loop: TrainingLoop, run: RunRecord, reason: str) -> None:
    """Tells everyone. The run is done and saved, even if one of them fails."""
    attempts = Attempts()
    failure = _tell_end(loop, run, reason, attempts)
    if isinstance(failure, Exception):
        raise TrainingError(
            f"The training has ended, as {reason}. {' '.join(attempts.troubles)} {loop.saved(run.saved_step)}"
        ) from failure
    if failure is not None:
        raise failure


def _tell_end(loop: TrainingLoop, run: RunRecord, reason: str, attempts: Attempts) -> BaseException | None:
    run.info["ended"] = reason
    return loop.listeners.end(run, reason, attempts)
