"""NumPy's `.npy`: one array, without names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import FileError
from ..storage.archives import header
from ..storage.atomic import written_file
from .arrays import GridArray, usual_dims
from .contents import StoredArray
from .datasets import grid_of


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    if variable is not None:
        raise FileError(f"An .npy file holds one array without a name, but '{variable}' was asked for.")
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise FileError("It is not an .npy file, but an archive of arrays. Rename it to .npz.")
        file.seek(0)
        shape, dtype = header(file)
        return grid_of([StoredArray("array", None, shape, dtype, lambda: array(file))], {}, None, dims, usual_dims)


def array(file: BinaryIO) -> np.ndarray:
    """The array of a file that can be read from its beginning again, to its last byte."""
    file.seek(0)
    values: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):
        raise FileError("It is longer than its array: it is damaged, or holds several, of which only one is read.")
    return values


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    if len(grids) != 1:
        raise FileError(f"An .npy file holds one array, not {', '.join(grids)}. Write .npz, .nc or .zarr.")
    (grid,) = grids.values()
    with written_file(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, grid.values, allow_pickle=False)
