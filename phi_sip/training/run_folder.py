"""The files of a run in its folder."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ..storage.atomic import UNFINISHED, written_file
from .callbacks import Arrays
from .lock import CHECKPOINTS, LOCK, OWNER, TENSORBOARD
from .record_files import INFO, RECORDS

STEPS, SAMPLES, EXPERIMENT = "steps.csv", "samples.npz", "experiment.toml"
BEFORE_THE_FIRST_STEP = {LOCK, OWNER, INFO, RECORDS, STEPS, CHECKPOINTS, EXPERIMENT, TENSORBOARD}
PACKAGES = ("phi-sip", "phiflow", "phiml", "tensorflow", "keras", "torch", "jax", "optax", "numpy", "scipy")


def is_free(folder: Path) -> bool:
    """Tells whether a new run may be kept here: in an empty folder, or where a run ended before its first step."""
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
    """Returns the versions of all packages that matter and are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_samples(folder: Path, samples: Arrays) -> None:
    """Writes `samples.npz`."""
    with written_file(folder / SAMPLES) as path, path.open("wb") as file:
        np.savez_compressed(file, **dict(samples))  # type: ignore[arg-type]
