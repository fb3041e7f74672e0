"""Writes the state of a run into its checkpoints, and puts one back."""

from __future__ import annotations

from pathlib import Path

from ..contract.training_state import TrainingState
from ..errors import CheckpointError
from ..teacher import Teacher
from ..text.printable import sentence
from .checkpoints import CheckpointStore
from .random_state import random_state
from .record_files import write_info
from .records import SAVED, RunRecord
from .run_info import lasting

TEACHER = "teacher"  # folder of a checkpoint


class Checkpointer:
    """
    Saves a run between two steps.

    Args:
        folder: The folder of the run.
        store: Its checkpoints.
        state: Network and optimizer.
        teacher: That of the network, if it has one.
    """

    def __init__(
        self, folder: Path, store: CheckpointStore, state: TrainingState, teacher: Teacher | None = None
    ) -> None:
        self._folder, self._store, self._state, self._teacher = folder, store, state, teacher

    def save(self, run: RunRecord, spare: int | None) -> None:
        """
        Saves the state after the last step, and says so in the record and in `run.json`.

        Args:
            run: What has been done.
            spare: Step of a checkpoint that is kept, however old.

        Raises:
            CheckpointError: if it cannot be written.
        """
        step, content = run.last_step, {"random": random_state(), "run": lasting(run.info)}
        self._store.save(step, self._state.framework, content, self._write, spare)
        run.info[SAVED] = step
        write_info(self._folder, run.info)

    def _write(self, folder: Path) -> None:
        self._state.save(folder)
        if self._teacher is not None:
            (folder / TEACHER).mkdir()
            self._teacher.save(folder / TEACHER)

    def saved(self, step: int) -> str:
        """Says in a sentence what is saved, if the last checkpoint is that of `step`."""
        if not step:
            return f"Nothing has been saved in {self._folder} yet."
        return f"The state after step {step} is saved in {self._folder}."


def restore(state: TrainingState, folder: Path, teacher: Teacher | None = None) -> None:
    """
    Puts back what a whole checkpoint holds. A teacher that the run had not begun with begins anew.

    Raises:
        CheckpointError: if it does not fit.
    """
    try:
        if teacher is not None and (folder / TEACHER).is_dir():
            teacher.load(folder / TEACHER)
        state.restore(folder)
    except Exception as error:
        raise CheckpointError(
            f"{folder} is whole, but cannot be restored: {type(error).__name__}: {sentence(error)} Make network and "
            f"optimizer as they were when the run began."
        ) from error
