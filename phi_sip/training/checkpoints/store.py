"""The checkpoints of a run: one folder each, the newest that is whole counts."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, CheckpointWarning
from ...storage.atomic import refuse_link, remove, remove_unfinished, written_folder
from ...text.printable import sentence
from .manifest import Manifest, read_manifest, said_by, sealed_by, write_manifest

_PREFIX = "step-"
_NAME = re.compile(rf"{_PREFIX}([0-9]{{8,18}})")


class CheckpointStore:
    """
    Checkpoints `step-00000100`, … in one folder.

    Each is written beside its place, flushed to the disk and then given its name, so that a process that is killed
    at any moment leaves the ones before as they were. What is read is compared with the checksums of what was written.

    A folder counts if it has exactly such a name and its manifest says the same step. All else that lies there, as a
    copy `step-00000100-backup` that a person has made, is neither read nor removed.

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
            content: Plain data that go into the manifest. Only those with the same `content["run"]["id"]` are removed.
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
            if place.exists() and not _belongs(place, step, content):
                place.rename(_free_name(place))
            if os.path.lexists(place):
                remove(place)  # of a run that was resumed from an earlier one, as this was damaged
            with written_folder(place) as unfinished:
                write(unfinished)
                write_manifest(unfinished, step, framework, content)
            older = [folder for at, folder in self._folders() if at < step and _belongs(folder, at, content)]
            for old in older[self.keep - 1 :]:
                if spare is None or old != self.place(spare):
                    remove(old)
        except Exception as error:
            raise CheckpointError(
                f"The checkpoint of step {step} cannot be written to {self.folder}: "
                f"{type(error).__name__}: {sentence(error)} "
                f"Those before are untouched: {self._names()}. Make room or give the right to write, and resume."
            ) from error
        return place

    def place(self, step: int) -> Path:
        """Returns the folder of the checkpoint of a step."""
        return self.folder / f"{_PREFIX}{step:08d}"

    def newest(self) -> tuple[Path, Manifest] | None:
        """
        Finds the newest that is whole, or `None` if there has never been one.

        Warns of each newer one that is damaged, with the reason.

        Raises:
            CheckpointError: if there are some, but none is whole.
        """
        refused = []
        for step, folder in self._folders():
            try:
                return folder, _read(folder, step)
            except CheckpointError as error:
                refused.append(str(error))
                warnings.warn(f"{error} Going back to the one before.", CheckpointWarning, stacklevel=2)
        if refused:
            raise CheckpointError(
                f"No checkpoint in {self.folder} can be used: {' '.join(refused)} To begin anew, use another folder."
            )
        return None

    def sealed(self) -> Manifest | None:
        """Reads the newest manifest that is as it was written; the other files are not looked at."""
        for step, folder in self._folders():
            with suppress(CheckpointError):
                return _of_step(folder, step, sealed_by(folder))
        return None

    def read(self, step: int) -> Manifest:
        """
        Reads what the checkpoint of a step says.

        Raises:
            CheckpointError: if it is not there, damaged, or that of another step.
        """
        return _read(self.place(step), step)

    def _folders(self) -> list[tuple[int, Path]]:
        """Steps and folders of the names that this store gives, newest first."""
        named = [(match, entry) for entry in self.folder.glob(f"{_PREFIX}*") if (match := _NAME.fullmatch(entry.name))]
        found = [(int(match[1]), entry) for match, entry in named if entry.is_dir() and not entry.is_symlink()]
        return sorted(((step, entry) for step, entry in found if entry == self.place(step)), reverse=True)

    def _names(self) -> str:
        return ", ".join(folder.name for _, folder in self._folders()) or "none"


def _read(folder: Path, step: int) -> Manifest:
    return _of_step(folder, step, read_manifest(folder))


def _of_step(folder: Path, step: int, manifest: Manifest) -> Manifest:
    if type(manifest.step) is not int or manifest.step != step:
        raise CheckpointError(
            f"{folder} is not the checkpoint of step {step}, but of step {manifest.step}: it has been copied or "
            f"renamed. Move it elsewhere."
        )
    return manifest


def _belongs(folder: Path, step: int, content: Mapping[str, Any]) -> bool:
    """Tells whether a folder holds the state after `step` steps of the same run, be it damaged."""
    said = said_by(folder)
    return said is None or (said.step == step and run_of(said.content) in (None, run_of(content)))


def run_of(content: Mapping[str, Any]) -> str | None:
    """Returns the identifier of the run that a checkpoint names; `None` if it names none."""
    run = content.get("run") if isinstance(content, Mapping) else None
    return run.get("id") if isinstance(run, Mapping) else None


def _free_name(place: Path) -> Path:
    """Returns a name for what lies in the place of a checkpoint and is none of this run."""
    names = (place.with_name(f"{place.name}-other{number or ''}") for number in range(10**6))
    return next(name for name in names if not name.exists())
