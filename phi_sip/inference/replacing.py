"""One folder in place of another."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints.atomic import remove


def replace_folder(folder: Path, new: Path, old: Path) -> None:
    """
    Gives `new` the name `folder`. What had it is called `old` meanwhile, and is removed at the end.

    Raises:
        OSError: if it cannot be done; then `folder` is what it was.
    """
    if not folder.exists():
        new.rename(folder)
        return
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    remove(old)
