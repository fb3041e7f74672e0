"""Files and folders that are there whole or not at all, also if the power fails."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished-"  # beginning of the name of a file or folder that is being written


@contextmanager
def written_file(path: Path) -> Iterator[Path]:
    """
    Yields a path to write to, which gets the name `path` in one step when the block ends. After an error it is removed.

    It has the suffix of `path`, since some writers choose the format by the suffix.
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
    """Yields a folder to write to, which gets the name `path` when the block ends. After an error it is removed."""
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
    """Removes unfinished files and folders that a killed process has left."""
    for entry in folder.glob(f"{UNFINISHED}*"):
        remove(entry)


def refuse_link(place: Path) -> None:
    """
    Checks that a place is no link, through which something elsewhere would be written or removed.

    Raises:
        OSError: if it is a link.
    """
    if place.is_symlink():
        raise OSError(
            f"{place} is a link, and nothing is written or removed through links in a folder of phi_sip. Put what it "
            f"leads to in its place, or make the whole folder a link"
        )


def remove(entry: Path) -> None:
    """Removes a file, a folder with all that is in it, or a link, but not what the link leads to."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _unfinished(path: Path) -> Path:
    """Returns a new path beside `path`."""
    return path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}{path.suffix}")


def _flush(path: Path) -> None:
    """Writes a file, or the list of names in a folder, from memory to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot flush folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
