"""What the checkpoints of a run and its `run.json` say about which run it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .checkpoints import CheckpointStore, Manifest
from .checkpoints.store import run_of
from .lock import CHECKPOINTS
from .record_files import INFO, read_info
from .records import SAVED, RunRecord

FORMAT = 1
OF_THE_PROCESS = ("ended", SAVED)  # keys of run.json that say where the run is, not what it is


def new_info(folder: Path) -> dict[str, Any]:
    """Returns what `run.json` says first of a run: an identifier that no other run has, its name and its date."""
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"format": FORMAT, "id": uuid.uuid4().hex, "name": folder.name, "created": created}


def lasting(info: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `run.json` says of a run at all times."""
    return {key: value for key, value in info.items() if key not in OF_THE_PROCESS}


def info_in(manifest: Manifest) -> dict[str, Any]:
    """Returns what a checkpoint says of its run; nothing if an older version wrote it."""
    run = manifest.content.get("run")
    return dict(run) if isinstance(run, Mapping) else {}


def is_of_another(manifest: Manifest, run: RunRecord) -> bool:
    """Tells whether a checkpoint names another run."""
    return run.info.get("id") is not None and run_of(manifest.content) not in (None, run.info["id"])


def known_of(folder: Path) -> dict[str, Any]:
    """
    Returns what the newest checkpoint says of its run, or else `run.json`, which may be edited; nothing where no run
    has been.
    """
    sealed = CheckpointStore(folder / CHECKPOINTS).sealed()
    known = {} if sealed is None else info_in(sealed)
    return known or (read_info(folder) if (folder / INFO).exists() else {})
