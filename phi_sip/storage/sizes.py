"""Sizes of files from anybody, compared with what they should hold before they are read."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from .archives import unpacked_size

SPARE = 1 << 20  # bytes for names, headers and alignment
SPARE_PER_ARRAY = 1 << 12


def check_archive(path: Path, arrays: int, size: int) -> None:
    """
    Measures a file of weights that is a zip archive.

    Args:
        path: The file.
        arrays: How many arrays the network has.
        size: Their bytes.

    Raises:
        zipfile.BadZipFile: if it is no archive.
        CheckpointError: if what it unpacks to is more than that.
    """
    check_size(path, unpacked_size(path), arrays, size)


def check_size(path: Path, found: int, arrays: int, size: int) -> None:
    """
    Compares the bytes that a file unpacks to with those of a network.

    Raises:
        CheckpointError: if the file has more.
    """
    if found > size + SPARE + SPARE_PER_ARRAY * arrays:
        raise CheckpointError(
            f"{path.name} unpacks to {found} bytes, but the network has weights of {size} bytes, so it was not read."
        )
