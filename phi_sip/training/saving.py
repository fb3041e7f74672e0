"""Saves the state of a run between two steps, and puts it back."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..contract.training_state import TrainingState
from ..errors import CheckpointError, RecordError, RunFolderError, TrainingWarning
from ..text.printable import sentence
from .checkpoints import CheckpointStore, Manifest
from .checkpoints.store import run_of
from .identity import FIXED, REPORTED, Difference, differences, plain, said
from .random_state import random_state, set_random_state
from .records import INFO, RECORDS, SAVED, RunRecord, read_info, read_run
from .run_folder import CHECKPOINTS, installed_versions, write_info

FORMAT = 1
KEPT_AFTER = "best_states_after"  # key of run.json: best states are kept of validations after this step
OF_THE_PROCESS = ("ended", SAVED)  # keys of run.json that say where the run is, not what it is


class Saving:
    """
    The checkpoints of one run. Each names the run, by an identifier that is made once, and what it is made by.

    Args:
        folder: Of the run.
        store: Its checkpoints.
        state: Network and optimizer.
        made_by: What is known of the run before its first batch, by the keys of `identity.FIXED` and `REPORTED`.
    """

    def __init__(self, folder: Path, store: CheckpointStore, state: TrainingState, made_by: Mapping[str, Any]) -> None:
        self.folder, self._store, self._state = folder, store, state
        self._made_by = {"framework": state.framework, **made_by}
        self._found: tuple[Path, Manifest] | None = None
        self._run: RunRecord | None = None

    def find(self) -> tuple[int, RunRecord] | None:
        """
        The step of the newest checkpoint that is whole, and what was done up to it; `None` if there is none.

        Raises:
            RunFolderError: if the folder holds the run of something else, or records but not what they are the records
                of.
            CheckpointError: if there are checkpoints but none can be used, or the newest is that of another run.
            RecordError: if records cannot be read.
        """
        self._found = self._store.newest()
        before = self._before()
        if before is None:
            return None
        self._check(before.info, self._made_by)
        if self._found is None:
            self._check_never_saved(before)
            return None
        step = self._found[1].step
        _report_missing(self.folder, before, step)
        return step, before.up_to(step)

    def start(self, before: RunRecord | None, more: Mapping[str, Any]) -> RunRecord:
        """
        The record of the run as it begins or goes on. All variables are made by now; saved ones are put back.

        Args:
            before: What was done, from `find`.
            more: What is known of the run by its first batch.

        Raises:
            RunFolderError: if the folder holds the run of another network.
            CheckpointError: if the checkpoint is that of another optimizer, or cannot be restored.
        """
        made_by = plain({**self._made_by, **more, "network": self._state.layout(), **self._state.description()})
        if before is None or self._found is None:
            self._run = RunRecord(self.folder.name, {**_new(self.folder), **made_by, "versions": installed_versions()})
            return self._run
        folder, manifest = self._found
        self._check(before.info, made_by)
        changed = [entry for key in REPORTED for entry in _differ(key, before.info, made_by)]
        self._restore(folder, [key for key, *_ in changed])
        set_random_state(manifest.content["random"])
        info = {key: value for key, value in before.info.items() if key not in OF_THE_PROCESS}
        info |= {**made_by, "versions": installed_versions(), SAVED: manifest.step}
        info.setdefault("id", run_of(manifest.content) or _new(self.folder)["id"])
        if "plan.keep_best" in (key for key, *_ in changed):
            info[KEPT_AFTER] = manifest.step
        if changed:
            self._report(changed)
            told = {key: [then, now] for key, then, now in changed}
            info["changes"] = [*before.info.get("changes", []), {"after_step": manifest.step, "changed": told}]
        self._run = RunRecord(before.name, info, before.steps, before.validations)
        return self._run

    def save(self, step: int, spare: int | None) -> None:
        """
        Saves the state after `step` steps. That after `spare` steps is kept, however old.

        Raises:
            CheckpointError: if it cannot be written.
        """
        assert self._run is not None
        info = {key: value for key, value in self._run.info.items() if key not in OF_THE_PROCESS}
        content = {"random": random_state(), "run": info}
        self._store.save(step, self._state.framework, content, self._state.save, spare)

    def note(self, step: int) -> None:
        """Says in `run.json` that the state after `step` steps is saved."""
        assert self._run is not None
        self._run.info[SAVED] = step
        write_info(self.folder, self._run.info)

    def _before(self) -> RunRecord | None:
        """
        The records there are. What they are the records of, the checkpoint says: it is sealed, while `run.json` may
        have been edited.
        """
        sealed = {} if self._found is None else _run_in(self._found[1])
        has_records = (self.folder / RECORDS).exists() and (self.folder / RECORDS).stat().st_size > 0
        if not sealed and not (self.folder / INFO).exists():
            if has_records or self._found is not None:
                what = "records" if has_records else "checkpoints"
                raise RunFolderError(
                    f"{self.folder} holds {what} but no {INFO}, so that it is not known what run they are of. "
                    f"Put {INFO} back, or give another folder."
                )
            return None
        if sealed:
            self._mend_info(sealed)
        run = read_run(self.folder)
        if self._found is not None and is_of_another(self._found[1], run):
            raise CheckpointError(
                f"{self._found[0]} is the checkpoint of another run, {self._of_another(run.info, sealed)}. Move it "
                f"elsewhere, and the run goes on from its own."
            )
        return RunRecord(run.name, {**run.info, **sealed, "name": run.name}, run.steps, run.validations)

    def _mend_info(self, sealed: Mapping[str, Any]) -> None:
        """Writes `run.json` anew if it is lost or damaged."""
        try:
            read_info(self.folder)
        except RecordError as error:
            what = str(error) if (self.folder / INFO).exists() else f"{self.folder} has no {INFO}."
            warnings.warn(
                f"{what} It is written anew from what the newest checkpoint says.", TrainingWarning, stacklevel=2
            )
            write_info(self.folder, sealed)

    def _of_another(self, mine: Mapping[str, Any], sealed: Mapping[str, Any]) -> str:
        found = [said(entry) for key in FIXED for entry in _differ(key, sealed, mine)]
        return f"{sealed.get('name')!r}" + (f" ({'; '.join(found)})" if found else "")

    def _check(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Raises if what cannot change is another."""
        another = {key: list(_differ(key, before, now)) for key in FIXED}
        found = [f"another {key}: {'; '.join(map(_within, entries))}" for key, entries in another.items() if entries]
        if not found:
            return
        message = f"{self.folder} holds a run with {', '.join(found)}."
        if [key for key, entries in another.items() if entries] == ["optimizer"]:
            raise CheckpointError(f"{message} Make network and optimizer as they were when the run began.")
        raise RunFolderError(f"{message} Go on with what it was begun with, or give another folder.")

    def _check_never_saved(self, before: RunRecord) -> None:
        if before.info.get(SAVED) and before.steps:
            raise RunFolderError(
                f"{self.folder} holds the records of {before.last_step} steps, but no checkpoint of them, though that "
                f"of step {before.info[SAVED]} was saved. Put the checkpoints back, or give another folder."
            )

    def _restore(self, folder: Path, changed: list[str]) -> None:
        """Puts back what was saved, but for the settings of the optimizer that were changed since."""
        restore(self._state, folder)
        settings = [key.removeprefix("settings.") for key in changed if key.startswith("settings.")]
        self._state.take_over(settings)

    def _report(self, changed: list[Difference]) -> None:
        warnings.warn(
            f"The run in {self.folder} goes on with something changed, which holds from now on: "
            f"{'; '.join(map(said, changed))}.",
            TrainingWarning,
            stacklevel=2,
        )


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
            f"{folder} is whole, but cannot be restored: {type(error).__name__}: {sentence(error)} Make network and "
            f"optimizer as they were when the run began."
        ) from error


def known_of(folder: Path) -> dict[str, Any]:
    """What the newest checkpoint says, or else `run.json`, which may be edited; nothing where no run has been."""
    sealed = CheckpointStore(folder / CHECKPOINTS).sealed()
    known = {} if sealed is None else _run_in(sealed)
    return known or (read_info(folder) if (folder / INFO).exists() else {})


def is_of_another(manifest: Manifest, run: RunRecord) -> bool:
    """Whether a checkpoint names another run."""
    return run.info.get("id") is not None and run_of(manifest.content) not in (None, run.info["id"])


def _run_in(manifest: Manifest) -> dict[str, Any]:
    """What a checkpoint says of its run; nothing if an older version wrote it."""
    run = manifest.content.get("run")
    return dict(run) if isinstance(run, Mapping) else {}


def _new(folder: Path) -> dict[str, Any]:
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"format": FORMAT, "id": uuid.uuid4().hex, "name": folder.name, "created": created}


def _differ(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Where both say something."""
    if before.get(key) is None or now.get(key) is None:
        return []
    return list(differences(before[key], now[key], key))


def _within(difference: Difference) -> str:
    """In words, without the first part of its key."""
    key, before, now = difference
    return said((key.partition(".")[2], before, now))


def _report_missing(folder: Path, run: RunRecord, step: int) -> None:
    missing = step - len([record for record in run.steps if record.step <= step])
    if missing > 0:
        warnings.warn(
            f"{folder / RECORDS} lacks {missing} of the {step} steps up to the checkpoint that the run goes on from: "
            f"the file was changed or removed. Weights are not affected; rules that look at what was before are.",
            TrainingWarning,
            stacklevel=2,
        )
