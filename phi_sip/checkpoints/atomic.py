"""Files and folders that appear whole or not at all, also when the power fails."""

from __future__ import annotations

import os
import shutil
import tempfile
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
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=path.suffix)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        os.chmod(unfinished, 0o666 & ~_umask())  # what is temporary, no one else may read
        _flush(unfinished)
        os.replace(unfinished, path)
        _flush(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """A folder to write to, which takes the name `path` when the block ends; after an error it is removed."""
    unfinished = Path(tempfile.mkdtemp(dir=path.parent, prefix=UNFINISHED))
    try:
        yield unfinished
        os.chmod(unfinished, 0o777 & ~_umask())
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


def _umask() -> int:
    """The rights that new files of this process lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    """Brings a file, or the list of names of a folder, from memory to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no such thing for folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
