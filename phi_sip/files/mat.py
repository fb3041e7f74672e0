"""MATLAB's `.mat` up to version 7, by SciPy. It is read only, as MATLAB's arrays have no names of dims."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from .arrays import GridArray
from .contents import StoredArray
from .coordinates import says_axis
from .datasets import grid_of
from .dims import AXES, usual_dims
from .file_format import FileFormat

TYPES = {"double": "f8", "single": "f4", "logical": "?", "char": "U1"}  # of NumPy, by MATLAB's classes


class Mat(FileFormat):
    """MATLAB's format of arrays with names."""

    name = "mat"
    suffixes = (".mat",)

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        from scipy.io import whosmat

        try:
            held = whosmat(str(path), appendmat=False)
        except NotImplementedError as error:
            raise FileError(
                "It is of MATLAB's version 7.3, which is HDF5. Rename it to .h5, where its dims are in reversed order, "
                "or save it with '-v7'."
            ) from error
        return grid_of([_stored(path, *about) for about in held], {}, variable, dims, usual_dims)


def _stored(path: Path, name: str, shape: tuple[int, ...], kind: str) -> StoredArray:
    """Returns an array. In MATLAB a list is a matrix of one row or column; lists of coordinates and texts are not."""
    is_list = kind == "cell" or any(says_axis(name, axis) for axis in AXES)
    if is_list and len(shape) == 2 and 1 in shape:
        shape = (max(shape),)
    dtype = np.dtype(TYPES.get(kind, kind if "int" in kind else "O"))
    return StoredArray(name, None, shape, dtype, partial(_values, path, name, shape, dtype))


def _values(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    from scipy.io import loadmat

    values = np.asarray(loadmat(str(path), appendmat=False, variable_names=[name])[name])
    if values.dtype.kind == "U":
        return np.char.rstrip(values)
    if values.dtype.kind == "O":
        values = np.array([_text(cell) for cell in values.flat], object)
    if values.dtype.kind in "iuf":  # MATLAB stores small integers of the class double in fewer bytes
        values = values.astype(dtype)
    return values.reshape(shape)


def _text(cell: Any) -> Any:
    """Returns the text of a cell; anything else is returned as it is."""
    words = np.asarray(cell)
    return str(words.item()) if words.dtype.kind == "U" and words.size == 1 else cell
