"""NumPy's `.npy`: one array, without names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..checkpoints.atomic import written_file
from ..errors import FileError
from .arrays import GridArray, unit_cells, usual_dims


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    if variable is not None:
        raise FileError(f"An .npy file holds one array without a name, but '{variable}' was asked for.")
    with path.open("rb") as file:
        values = np.load(file, allow_pickle=False)
        if not isinstance(values, np.ndarray):
            raise FileError("It is not an .npy file, but an archive of arrays. Rename it to .npz.")
        if file.read(1):
            raise FileError("It is longer than its array: it is damaged, or holds several, of which only one is read.")
    return unit_cells(values, tuple(dims) if dims else usual_dims(values.ndim))


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    if len(grids) != 1:
        raise FileError(f"An .npy file holds one array, not {', '.join(grids)}. Write .npz, .nc or .zarr.")
    (grid,) = grids.values()
    with written_file(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, grid.values, allow_pickle=False)
