"""NumPy's `.npy`: one array, without names."""

from __future__ import annotations

import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..checkpoints.atomic import written_file
from ..errors import FileError
from .arrays import GridArray, unit_cells, usual_dims

# What NumPy raises for files that are none, are cut or damaged.
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    MemoryError,
    OverflowError,
)


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    if variable is not None:
        raise FileError(f"An .npy file holds one array without a name, but '{variable}' was asked for.")
    try:
        values = np.load(path, allow_pickle=False)
    except DAMAGED as error:
        raise FileError(f"It is not a readable .npy file: {error}.") from error
    if not isinstance(values, np.ndarray):
        raise FileError("It is not an .npy file, but an archive of arrays. Rename it to .npz.")
    return unit_cells(values, tuple(dims) if dims else usual_dims(values.ndim))


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    if len(grids) != 1:
        raise FileError(f"An .npy file holds one array, not {', '.join(grids)}. Write .npz, .nc or .zarr.")
    (grid,) = grids.values()
    with written_file(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, grid.values, allow_pickle=False)
