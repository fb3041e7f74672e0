"""One training at a time in a folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..errors import RunFolderError, UnsupportedError
from ..storage.atomic import refuse_link, remove_unfinished
from ..text.printable import sentence

LOCK, OWNER, CHECKPOINTS, TENSORBOARD = "run.lock", "run.owner", "checkpoints", "tensorboard"


class FolderInUseError(RunFolderError):
    """Another training runs in the folder."""


@dataclass(frozen=True)
class LockedFolder(os.PathLike[str]):
    """
    A folder from which its holder keeps other trainings out, see `locked`. `train` takes it in place of a path.

    Attributes:
        path: The folder.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)


@contextmanager
def locked(folder: Path) -> Iterator[LockedFolder]:
    """
    Makes the folder, and keeps other trainings out of it. The lock of a process that has died is void.

    Raises:
        FolderInUseError: if another training runs in it; the message names its process.
        RunFolderError: if it cannot be written to.
        UnsupportedError: if the library for locks is missing.
    """
    try:
        from filelock import FileLock, Timeout
    except ModuleNotFoundError as error:
        raise UnsupportedError("Runs in a folder need filelock. Install it: pip install 'phi-sip[train]'.") from error
    lock = FileLock(folder / LOCK)
    try:
        for name in (LOCK, OWNER, CHECKPOINTS, TENSORBOARD):
            refuse_link(folder / name)
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        (folder / OWNER).write_text(json.dumps(_this_process()))
        remove_unfinished(folder)
    except Timeout as error:
        raise FolderInUseError(
            f"Another training is running in {folder}: {_owner(folder)}. Wait for its end, or give this one another "
            f"folder."
        ) from error
    except OSError as error:
        lock.release()
        raise RunFolderError(
            f"{folder} cannot be used for a run: {sentence(error)} Give a folder that can be written to."
        ) from error
    try:
        yield LockedFolder(folder)
    finally:
        with suppress(OSError):
            (folder / OWNER).unlink()
        lock.release()


def holding(folder: str | os.PathLike[str] | None) -> AbstractContextManager[LockedFolder | None]:
    """Returns the folder, locked now unless its holder has given it."""
    if folder is None or isinstance(folder, LockedFolder):
        return nullcontext(folder)
    return locked(Path(folder))


def _this_process() -> dict[str, object]:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": since}


def _owner(folder: Path) -> str:
    """Says which process holds the lock, as far as it has said so yet."""
    try:
        said = json.loads((folder / OWNER).read_text())
        return f"process {int(said['process'])} on {str(said['host'])!r}, since {str(said['since'])!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has just begun"
