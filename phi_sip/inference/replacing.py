"""One folder in place of another, so that a process that is killed at any moment leaves one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..storage.atomic import remove, written_folder


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """
    Yields a folder to write to, which takes the place of `folder` when the block ends; after an error `folder` is what
    it was.

    Raises:
        OSError: if that cannot be done.
    """
    finish_replacing(folder)
    new, old = _beside(folder)
    for left_behind in (new, old):
        if os.path.lexists(left_behind):
            remove(left_behind)
    with written_folder(new) as unfinished:
        yield unfinished
    if os.path.lexists(folder):  # of a link, the link: what it leads to is left alone
        os.rename(folder, old)
    try:
        os.rename(new, folder)
    except OSError:
        if os.path.lexists(new):  # else another process has given it its name, see `finish_replacing`
            if os.path.lexists(old):
                os.rename(old, folder)
            raise
    if os.path.lexists(old):
        remove(old)


def finish_replacing(folder: Path) -> None:
    """
    Gives `folder` its name if a process was killed when it had taken the name from the folder before. Where that is
    not allowed, nothing is done.
    """
    whole = [place for place in _beside(folder) if os.path.lexists(place)]
    if whole and not os.path.lexists(folder):
        with suppress(OSError):
            os.rename(whole[0], folder)


def _beside(folder: Path) -> tuple[Path, Path]:
    """Returns the places of what is written, and of what it replaces, while both are there."""
    return folder.with_name(f".new-{folder.name}"), folder.with_name(f".old-{folder.name}")
