"""The checkpoints of a run: one folder each, the newest that is whole counts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, CheckpointWarning
from .atomic import refuse_link, remove, remove_unfinished, written_folder
from .manifest import Manifest, read_manifest, write_manifest

_PREFIX = "step-"


class CheckpointStore:
    """
    Checkpoints `step-00000100`, … in one folder.

    Each is written beside its place, flushed to the disk and then given its name, so that a process that is killed
    at any moment leaves the ones before as they were. What is read is compared with the checksums of what was written.

    Args:
        folder: Where they are; made if it does not exist.
        keep: How many ≥ 1 of the newest are kept.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.keep = keep

    def save(
        self,
        step: int,
        framework: str,
        content: Mapping[str, Any],
        write: Callable[[Path], None],
        spare: int | None = None,
    ) -> Path:
        """
        Writes one, and removes what is more than `keep`.

        Args:
            step: Number of steps done.
            framework: Who will be able to read it.
            content: Plain data that go into the manifest.
            write: Writes files into the folder that it is given.
            spare: Step of one that is kept besides, however old.

        Raises:
            CheckpointError: if it cannot be written, e.g. as the disk is full; those before are still there.
        """
        place = self.place(step)
        try:
            refuse_link(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_unfinished(self.folder)
            if os.path.lexists(place):
                remove(place)  # of a run that was resumed from an earlier one, as this was damaged
            with written_folder(place) as unfinished:
                write(unfinished)
                write_manifest(unfinished, step, framework, content)
            for old in [folder for folder in self._folders() if _order(folder) < _order(place)][self.keep - 1 :]:
                if spare is None or old != self.place(spare):
                    remove(old)
        except Exception as error:
            raise CheckpointError(
                f"The checkpoint of step {step} cannot be written to {self.folder}: {type(error).__name__}: {error}. "
                f"Those before are untouched: {self._names()}. Make room or give the right to write, and resume."
            ) from error
        return place

    def place(self, step: int) -> Path:
        """The folder of the checkpoint of a step."""
        return self.folder / f"{_PREFIX}{step:08d}"

    def newest(self) -> tuple[Path, Manifest] | None:
        """
        The newest that is whole, or `None` if there has never been one.

        Warns of each newer one that is damaged, with the reason.

        Raises:
            CheckpointError: if there are some, but none is whole.
        """
        refused = []
        for folder in self._folders():
            try:
                return folder, read_manifest(folder)
            except CheckpointError as error:
                refused.append(str(error))
                warnings.warn(f"{error} Going back to the one before.", CheckpointWarning, stacklevel=2)
        if refused:
            raise CheckpointError(
                f"No checkpoint in {self.folder} can be used: {' '.join(refused)} To begin anew, use another folder."
            )
        return None

    def _folders(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob(f"{_PREFIX}*"), key=_order, reverse=True)

    def _names(self) -> str:
        return ", ".join(folder.name for folder in self._folders()) or "none"


def _order(folder: Path) -> tuple[int, str]:
    """Sorts by step: names are padded with zeros up to eight digits."""
    return len(folder.name), folder.name
