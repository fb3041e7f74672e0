"""Weights in order, as NumPy arrays without names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..storage.archives import arrays_in, shapes_in
from ..storage.sizes import check_archive
from ..storage.tensors import read_tensors, write_tensors


def write_arrays(file: Path, arrays: Iterable[Any]) -> None:
    """Writes arrays of numbers of any type, named by their places."""
    write_tensors(file, _numbered(arrays))


def read_arrays(file: Path, like: Iterable[Any]) -> list[np.ndarray]:
    """
    Reads what `write_arrays` wrote.

    Args:
        file: What to read.
        like: Arrays of the same shapes and types.

    Raises:
        CheckpointError: if the file is missing or damaged, or other arrays are in it.
    """
    return list(read_tensors(file, _numbered(like)).values())


def _numbered(arrays: Iterable[Any]) -> dict[str, np.ndarray]:
    return {f"{place:05d}": np.asarray(array) for place, array in enumerate(arrays)}


def read_archive(file: Path, like: Sequence[Any]) -> list[np.ndarray]:
    """
    Reads arrays from an `.npz` archive, as earlier versions wrote it.

    Args:
        file: What to read.
        like: Arrays of the same shapes. Types that NumPy does not know, as `bfloat16`, are read as those of `like`.

    Raises:
        CheckpointError: if the shapes differ, or the file unpacks to more than these arrays; before it is read.
    """
    check_archive(file, len(like), sum(array.nbytes for array in like))
    found, expected = shapes_in(file), [tuple(array.shape) for array in like]
    if found != expected:
        raise CheckpointError(f"The weights have the shapes {found}, but the network has {expected}.")
    arrays = list(arrays_in(file).values())
    types = [np.dtype(array.dtype) for array in like]
    return [a.view(known) if a.dtype.kind == "V" else a for a, known in zip(arrays, types, strict=True)]
