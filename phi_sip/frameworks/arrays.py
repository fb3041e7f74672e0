"""Weights in order, as NumPy arrays in one file without pickles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..inference.measured import check_archive
from ..storage.archives import arrays_in, shapes_in


def write_arrays(file: Path, arrays: Sequence[Any]) -> None:
    """Writes arrays of any type."""
    np.savez(file, **{f"{number:05d}": np.asarray(array) for number, array in enumerate(arrays)})  # type: ignore[arg-type]


def read_arrays(file: Path, like: Sequence[Any]) -> list[Any]:
    """
    Reads what `write_arrays` wrote.

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
