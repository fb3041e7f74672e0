"""Files and folders that appear whole or not at all, also when the power fails."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished-"  # begins the name of what is being written


@contextmanager
def written_file(path: Path) -> Iterator[Path]:
    """
    A path to write to, which takes the name `path` when the block ends, in one step; after an error it is removed.

    It ends as `path` does, since some writers choose the format by the suffix.
    """
    unfinished = _unfinished(path)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield unfinished
        _flush(unfinished)
        os.replace(unfinished, path)
        _flush(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """A folder to write to, which takes the name `path` when the block ends; after an error it is removed."""
    unfinished = _unfinished(path)
    unfinished.mkdir()
    try:
        yield unfinished
        for entry in (*unfinished.rglob("*"), unfinished):
            _flush(entry)
        os.rename(unfinished, path)
        _flush(path.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Removes what a process that was killed in the middle has left behind."""
    for entry in folder.glob(f"{UNFINISHED}*"):
        remove(entry)


def refuse_link(place: Path) -> None:
    """
    Refuses a place that is a link, before anything is written or removed there: it would be elsewhere.

    Raises:
        OSError: if it is one.
    """
    if place.is_symlink():
        raise OSError(
            f"{place} is a link, and nothing is written or removed through links in a folder of phi_sip. Put what it "
            f"leads to in its place, or make the whole folder a link"
        )


def remove(entry: Path) -> None:
    """Removes a file, a folder with all that is in it, or a link; what a link leads to stays."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _unfinished(path: Path) -> Path:
    """A new name beside `path`. What is made under it has the rights that the process gives to all its files."""
    return path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}{path.suffix}")


def _flush(path: Path) -> None:
    """Brings a file, or the list of names of a folder, from memory to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no such thing for folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
