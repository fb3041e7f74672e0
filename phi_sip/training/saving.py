"""Saves the state of a run between two steps, and puts it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..checkpoints import CheckpointStore, Manifest
from ..description import describe
from ..errors import CheckpointError, UnsupportedError
from ..physics.base import InvertiblePhysics
from .random_state import random_state, set_random_state
from .records import RunRecord
from .run_folder import describe_run, earlier_run
from .states.base import TrainingState


class Saving:
    """
    The checkpoints of one run.

    Args:
        folder: Of the run.
        store: Its checkpoints.
        state: Network and optimizer.
        physics: Process, to tell whether a checkpoint is that of this run.
    """

    def __init__(self, folder: Path, store: CheckpointStore, state: TrainingState, physics: InvertiblePhysics) -> None:
        self.folder, self._store, self._state, self._physics = folder, store, state, physics
        self._found: tuple[Path, Manifest] | None = None

    def find(self) -> tuple[int, RunRecord] | None:
        """
        The step of the newest checkpoint that is whole, and what was done up to it; `None` if there is none.

        Raises:
            RunFolderError: if the folder holds the run of another framework or physics.
            CheckpointError: if there are checkpoints but none can be used.
        """
        before = earlier_run(self.folder, self._info(None))
        self._found = self._store.newest()
        if self._found is None:
            return None
        step = self._found[1].step
        return step, (before or RunRecord(self.folder.name)).up_to(step)

    def start(self, before: RunRecord | None) -> RunRecord:
        """
        The record of the run as it begins or goes on. All variables are made by now; saved ones are put back.

        Raises:
            RunFolderError: if the folder holds the run of another network.
            CheckpointError: if the network cannot be restored.
        """
        info = self._info(self._state.layout())
        earlier_run(self.folder, info)
        if before is None or self._found is None:
            return RunRecord(self.folder.name, info)
        folder, manifest = self._found
        restore(self._state, folder)
        set_random_state(manifest.content["random"])
        return RunRecord(
            before.name,
            {**before.info, **info, "created": before.info.get("created")},
            before.steps,
            before.validations,
        )

    def save(self, step: int, spare: int | None) -> None:
        """
        Saves the state after `step` steps. That after `spare` steps is kept, however old.

        Raises:
            CheckpointError: if it cannot be written.
        """
        self._store.save(step, self._state.framework, {"random": random_state()}, self._state.save, spare)

    def _info(self, layout: Any) -> dict[str, Any]:
        return describe_run(self.folder, self._state.framework, _described(self._physics), layout)


def restore(state: TrainingState, folder: Path) -> None:
    """
    Puts back what a whole checkpoint holds.

    Raises:
        CheckpointError: if it does not fit.
    """
    try:
        state.restore(folder)
    except Exception as error:
        raise CheckpointError(
            f"{folder} is whole, but cannot be restored: {type(error).__name__}: {error}. Make network and optimizer "
            f"as they were when the run began."
        ) from error


def _described(physics: InvertiblePhysics) -> Any:
    try:
        return describe(physics)
    except UnsupportedError:
        return None  # of code or large tensors, which are not compared
