"""The files of a run in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..storage.atomic import UNFINISHED, written_file
from .callbacks import Arrays
from .lock import CHECKPOINTS, LOCK, OWNER, TENSORBOARD, LockedFolder, locked
from .records import INFO, RECORDS, RunRecord, StepRecord, ValidationRecord, line_of

__all__ = ["CHECKPOINTS", "TENSORBOARD", "LockedFolder", "locked"]

STEPS, SAMPLES, EXPERIMENT = "steps.csv", "samples.npz", "experiment.toml"
BEFORE_THE_FIRST_STEP = {LOCK, OWNER, INFO, RECORDS, STEPS, CHECKPOINTS, EXPERIMENT, TENSORBOARD}
PACKAGES = ("phi-sip", "phiflow", "phiml", "tensorflow", "keras", "torch", "jax", "optax", "numpy", "scipy")


def is_free(folder: Path) -> bool:
    """Whether a new run may be kept here: the folder holds nothing, or a run that was ended before its first step."""
    if not folder.exists():
        return True
    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir() if not entry.name.startswith(UNFINISHED)}
    if not names:
        return True
    begun = LOCK in names and names <= BEFORE_THE_FIRST_STEP
    return begun and not _size(folder / RECORDS) and not any((folder / CHECKPOINTS).glob("*"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def installed_versions() -> dict[str, str]:
    """Of all packages that matter and are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Writes `run.json`."""
    with written_file(folder / INFO) as path:
        path.write_text(json.dumps(info, indent=1))


def write_records(folder: Path, run: RunRecord) -> None:
    """Writes `records.jsonl` anew, in the order in which things happened."""
    records: list[StepRecord | ValidationRecord] = [*run.steps, *run.validations]
    records.sort(key=lambda record: record.step)
    with written_file(folder / RECORDS) as path:
        path.write_text("".join(map(line_of, records)))


def write_samples(folder: Path, samples: Arrays) -> None:
    """Writes `samples.npz`."""
    with written_file(folder / SAMPLES) as path, path.open("wb") as file:
        np.savez_compressed(file, **dict(samples))  # type: ignore[arg-type]
