"""Zip archives of arrays, such as NumPy's `.npz`, which are measured before they are read into memory."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

OF_VERSION: dict[Any, Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def shapes_in(path: Path) -> list[tuple[int, ...]]:
    """
    Returns the shapes of all arrays of an archive, from their headers.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: if the archive cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        return [_header(archive, entry)[0] for entry in archive.infolist()]


def unpacked_size(path: Path) -> int:
    """
    Returns the number of bytes of all unpacked files of an archive, from its directory.

    Raises:
        OSError, zipfile.BadZipFile: if the archive cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def read_arrays(path: Path, largest: int) -> dict[str, np.ndarray]:
    """
    Returns all arrays of an archive by name. Nothing in it is unpickled.

    Args:
        path: The archive.
        largest: Largest number of bytes of all arrays together.

    Raises:
        OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile: if the archive cannot be read, or has more bytes.
    """
    if not path.is_file():
        raise OSError("it is no file")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        headers = [_header(archive, entry) for entry in entries]
        found = max(
            sum(entry.file_size for entry in entries),
            sum(_count(shape) * max(1, dtype.itemsize) for shape, dtype in headers),
        )
    if found > largest:
        raise ValueError(f"it unpacks to {found} bytes, but at most {largest} are read")
    return arrays_in(path)


def arrays_in(path: Path) -> dict[str, np.ndarray]:
    """Returns all arrays of an archive by name and in order, of any size. Nothing in it is unpickled."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """
    Returns shape and type of an array in NumPy's format. The file is read up to the numbers.

    Raises:
        ValueError: if the array is damaged, of another format, or holds objects of Python, which could run code.
    """
    version = np.lib.format.read_magic(file)
    if version not in OF_VERSION:
        raise ValueError(f"it has the version {version} of NumPy's format, which is for arrays of other types")
    shape, _, dtype = OF_VERSION[version](file)
    if any(size < 0 for size in shape):
        raise ValueError(f"it has the shape {shape}")
    if dtype.hasobject:
        raise ValueError("it holds objects of Python, which could run code and are not read (allow_pickle=False)")
    return tuple(shape), dtype


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(entry) as file:
        try:
            return header(file)
        except ValueError as error:
            raise ValueError(f"'{entry.filename}': {error}") from error


def _count(shape: tuple[int, ...]) -> int:
    return math.prod(shape)
