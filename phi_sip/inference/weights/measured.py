"""Sizes of files of weights, from their headers: before anything of them is in memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ...errors import CheckpointError

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
        CheckpointError: if it is no archive, or what it unpacks to is more than that.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path.name} is no archive of weights.")
    with zipfile.ZipFile(path) as archive:
        check_size(path, sum(entry.file_size for entry in archive.infolist()), arrays, size)


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
