"""NumPy's `.npy`: one array without names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import FileError
from ..storage.archives import header
from ..storage.atomic import written_file
from .arrays import GridArray
from .contents import StoredArray
from .datasets import grid_of
from .dims import usual_dims
from .file_format import FileFormat


class Npy(FileFormat):
    """NumPy's format of one array."""

    name = "npy"
    suffixes = (".npy",)

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        if variable is not None:
            raise FileError(f"An .npy file holds one array without a name, but '{variable}' was asked for.")
        with path.open("rb") as file:
            if file.read(4) == b"PK\x03\x04":
                raise FileError("It is not an .npy file, but an archive of arrays. Rename it to .npz.")
            file.seek(0)
            shape, dtype = header(file)
            array = StoredArray("array", None, shape, dtype, lambda: _values(file))
            return grid_of([array], {}, None, dims, usual_dims)

    def write(self, path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
        if len(grids) != 1:
            raise FileError(f"An .npy file holds one array, not {', '.join(grids)}. Write .npz, .nc or .zarr.")
        (grid,) = grids.values()
        with written_file(path) as unfinished, unfinished.open("wb") as file:
            np.save(file, grid.values, allow_pickle=False)


def _values(file: BinaryIO) -> np.ndarray:
    """Returns the array of a file, which is read from its beginning to its last byte."""
    file.seek(0)
    values: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):
        raise FileError("It is longer than its array: it is damaged, or holds several, of which only one is read.")
    return values
