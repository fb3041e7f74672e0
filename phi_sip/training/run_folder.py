"""The folder of a run: one training at a time, and what it is the folder of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.atomic import refuse_link, remove_unfinished, written_file
from ..errors import RunFolderError, UnsupportedError
from .callbacks import Arrays
from .records import INFO, RECORDS, RunRecord, StepRecord, ValidationRecord, line_of, read_run

CHECKPOINTS, STEPS, SAMPLES, LOCK = "checkpoints", "steps.csv", "samples.npz", "run.lock"
PACKAGES = ("phi-sip", "phiflow", "phiml", "tensorflow", "keras", "torch", "jax", "optax", "numpy", "scipy")
FORMAT = 1


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """
    Makes the folder, and keeps other trainings out of it. The lock of a process that has died is void.

    Raises:
        RunFolderError: if another training runs in it, or it cannot be written to.
        UnsupportedError: if the library for locks is missing.
    """
    try:
        from filelock import FileLock, Timeout
    except ModuleNotFoundError as error:
        raise UnsupportedError("Runs in a folder need filelock. Install it: pip install 'phi-sip[train]'.") from error
    lock = FileLock(folder / LOCK)
    try:
        for name in (LOCK, CHECKPOINTS, "tensorboard"):
            refuse_link(folder / name)
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        remove_unfinished(folder)
    except Timeout as error:
        raise RunFolderError(
            f"Another training is running in {folder}. Wait for its end, or give this one another folder."
        ) from error
    except OSError as error:
        lock.release()
        raise RunFolderError(
            f"{folder} cannot be used for a run: {error}. Give a folder that can be written to."
        ) from error
    try:
        yield
    finally:
        lock.release()


def describe_run(folder: Path, framework: str, physics: Any, layout: Any) -> dict[str, Any]:
    """What goes into `run.json`. `physics` is its description, `None` if it cannot be written."""
    return {
        "format": FORMAT,
        "name": folder.name,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "framework": framework,
        "physics": physics,
        "network": layout,
        "versions": installed_versions(),
    }


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


def earlier_run(folder: Path, info: Mapping[str, Any]) -> RunRecord | None:
    """
    What the folder holds of a run that goes on now; `None` if it holds none.

    Raises:
        RunFolderError: if it is that of another framework, physics or network.
    """
    if not (folder / INFO).exists():
        return None
    run = read_run(folder)
    for key, found in info.items():
        before = run.info.get(key)
        if key in ("framework", "physics", "network") and None not in (before, found) and before != _plain(found):
            raise RunFolderError(
                f"{folder} holds a run with another {key}: {_short(before)} there, {_short(_plain(found))} here. "
                f"Go on with what it was begun with, or give another folder."
            )
    return run


def _plain(value: Any) -> Any:
    """As it is after writing and reading."""
    return json.loads(json.dumps(value))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
