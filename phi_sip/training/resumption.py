"""Where a run begins: anew, or from the newest checkpoint of its folder, if that is of the same run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.training_state import TrainingState
from ..errors import CheckpointError, RecordError, RunFolderError, TrainingWarning
from ..teacher import Teacher
from .checkpointer import restore
from .checkpoints import CheckpointStore, Manifest
from .checkpoints.store import run_of
from .differences import FIXED, REPORTED, Difference, check_same, differing, said
from .plain_data import plain
from .random_state import set_random_state
from .record_files import INFO, RECORDS, read_info, read_run, write_info
from .records import KEPT_AFTER, SAVED, RunRecord
from .run_folder import installed_versions
from .run_info import info_in, is_of_another, lasting, new_info


@dataclass(frozen=True)
class EarlierRun:
    """
    A run that a folder holds, up to its newest checkpoint.

    Attributes:
        checkpoint: The folder of the checkpoint.
        manifest: What the checkpoint says.
        record: What had been done by then.
    """

    checkpoint: Path
    manifest: Manifest
    record: RunRecord

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self.manifest.step


class Resumption:
    """
    Finds what the folder of a run holds, and goes on from there if that is the same run. Each run is named by an
    identifier that is made once, and by what it is made by.

    Args:
        folder: The folder of the run.
        store: Its checkpoints.
        state: Network and optimizer.
        made_by: What is known of the run before its first batch, by the keys of `FIXED` and `REPORTED`.
        teacher: That of the network, if it has one.
    """

    def __init__(
        self,
        folder: Path,
        store: CheckpointStore,
        state: TrainingState,
        made_by: Mapping[str, Any],
        teacher: Teacher | None = None,
    ) -> None:
        self._folder, self._store, self._state, self._teacher = folder, store, state, teacher
        self._made_by = {"framework": state.framework, **made_by}

    def find(self) -> EarlierRun | None:
        """
        Finds the newest checkpoint that is whole, and what was done up to it.

        Raises:
            RunFolderError: if the folder holds the run of something else, or records but not what they are the records
                of.
            CheckpointError: if there are checkpoints but none can be used, or the newest is that of another run.
            RecordError: if records cannot be read.
        """
        newest = self._store.newest()
        record = _recorded(self._folder, newest)
        if record is None:
            return None
        check_same(self._folder, record.info, self._made_by)
        if newest is None:
            _check_never_saved(self._folder, record)
            return None
        checkpoint, manifest = newest
        _report_missing(self._folder, record, manifest.step)
        return EarlierRun(checkpoint, manifest, record.up_to(manifest.step))

    def begin(self, earlier: EarlierRun | None, more: Mapping[str, Any]) -> RunRecord:
        """
        Begins a new run or goes on with an earlier one. All variables are made by now; saved ones are put back.

        Args:
            earlier: What `find` has found.
            more: What is known of the run by its first batch.

        Returns:
            The record of the run so far.

        Raises:
            RunFolderError: if the folder holds the run of another network.
            CheckpointError: if the checkpoint is that of another optimizer, or cannot be restored.
        """
        now = plain({**self._made_by, **more, "network": self._state.layout(), **self._state.description()})
        if earlier is None:
            return RunRecord(self._folder.name, {**new_info(self._folder), **now, "versions": installed_versions()})
        before = earlier.record.info
        check_same(self._folder, before, now)
        changed = [entry for key in REPORTED for entry in differing(key, before, now)]
        self._restore(earlier, [key for key, *_ in changed])
        info = {**lasting(before), **now, "versions": installed_versions(), SAVED: earlier.step}
        info.setdefault("id", run_of(earlier.manifest.content) or new_info(self._folder)["id"])
        if any(key == "plan.keep_best" for key, *_ in changed):
            info[KEPT_AFTER] = earlier.step
        if changed:
            self._report(changed)
            told = {key: [then, now] for key, then, now in changed}
            info["changes"] = [*before.get("changes", []), {"after_step": earlier.step, "changed": told}]
        return RunRecord(earlier.record.name, info, earlier.record.steps, earlier.record.validations)

    def _restore(self, earlier: EarlierRun, changed: list[str]) -> None:
        """Puts back what was saved, but for the settings of the optimizer that were changed since."""
        restore(self._state, earlier.checkpoint, self._teacher)
        self._state.take_over([key.removeprefix("settings.") for key in changed if key.startswith("settings.")])
        set_random_state(earlier.manifest.content["random"])

    def _report(self, changed: list[Difference]) -> None:
        warnings.warn(
            f"The run in {self._folder} goes on with something changed, which holds from now on: "
            f"{'; '.join(map(said, changed))}.",
            TrainingWarning,
            stacklevel=2,
        )


def _recorded(folder: Path, newest: tuple[Path, Manifest] | None) -> RunRecord | None:
    """
    Reads the records there are. What they are the records of, the checkpoint says: it is sealed, while `run.json` may
    have been edited.
    """
    sealed = {} if newest is None else info_in(newest[1])
    has_records = (folder / RECORDS).exists() and (folder / RECORDS).stat().st_size > 0
    if not sealed and not (folder / INFO).exists():
        if has_records or newest is not None:
            what = "records" if has_records else "checkpoints"
            raise RunFolderError(
                f"{folder} holds {what} but no {INFO}, so that it is not known what run they are of. "
                f"Put {INFO} back, or give another folder."
            )
        return None
    if sealed:
        _mend_info(folder, sealed)
    run = read_run(folder)
    if newest is not None and is_of_another(newest[1], run):
        raise CheckpointError(
            f"{newest[0]} is the checkpoint of another run, {_named(sealed, run.info)}. Move it elsewhere, and the run "
            f"goes on from its own."
        )
    return RunRecord(run.name, {**run.info, **sealed, "name": run.name}, run.steps, run.validations)


def _mend_info(folder: Path, sealed: Mapping[str, Any]) -> None:
    """Writes `run.json` anew if it is lost or damaged."""
    try:
        read_info(folder)
    except RecordError as error:
        what = str(error) if (folder / INFO).exists() else f"{folder} has no {INFO}."
        warnings.warn(f"{what} It is written anew from what the newest checkpoint says.", TrainingWarning, stacklevel=2)
        write_info(folder, sealed)


def _named(sealed: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """Returns the name of another run, and what differs there."""
    found = [said(entry) for key in FIXED for entry in differing(key, sealed, mine)]
    return f"{sealed.get('name')!r}" + (f" ({'; '.join(found)})" if found else "")


def _check_never_saved(folder: Path, before: RunRecord) -> None:
    if before.info.get(SAVED) and before.steps:
        raise RunFolderError(
            f"{folder} holds the records of {before.last_step} steps, but no checkpoint of them, though that of step "
            f"{before.info[SAVED]} was saved. Put the checkpoints back, or give another folder."
        )


def _report_missing(folder: Path, run: RunRecord, step: int) -> None:
    missing = step - len([record for record in run.steps if record.step <= step])
    if missing > 0:
        warnings.warn(
            f"{folder / RECORDS} lacks {missing} of the {step} steps up to the checkpoint that the run goes on from: "
            f"the file was changed or removed. Weights are not affected; rules that look at what was before are.",
            TrainingWarning,
            stacklevel=2,
        )
