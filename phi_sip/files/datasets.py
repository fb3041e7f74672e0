"""What NetCDF and Zarr share: xarray's datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import FileError, UnsupportedError
from .arrays import AXES, GridArray
from .formats import chosen

UNEQUAL = 1e-4  # of a cell, by which centers may be off


def xarray() -> Any:
    """The library."""
    try:
        import xarray
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "NetCDF and Zarr files are read and written by xarray. Install it: pip install 'phi-sip[files]'."
        ) from error
    return xarray


def read_dataset(open_dataset: Callable[[], Any], variable: str | None, dims: Sequence[str] | None) -> GridArray:
    """The grid of a variable of the dataset that `open_dataset` opens."""
    try:
        with open_dataset() as dataset:
            array = dataset[chosen(variable, list(dataset.data_vars))]
            names = tuple(dims) if dims else tuple(map(str, array.dims))
            bounds = [
                _bounds(dataset, name, size) for name, size in zip(names, array.shape, strict=False) if name in AXES
            ]
            return GridArray(np.asarray(array.values), names, *(tuple(b[i] for b in bounds) for i in (0, 1)))
    except (FileError, UnsupportedError):
        raise
    except ImportError as error:
        raise UnsupportedError(f"{error}. Install it: pip install 'phi-sip[files]'.") from error
    except Exception as error:  # of all the libraries below xarray
        raise FileError(f"It cannot be read: {type(error).__name__}: {error}.") from error


def _bounds(dataset: Any, axis: str, size: int) -> tuple[float, float]:
    """Of an axis: from centers of equal cells, or of cells of length 1."""
    if axis not in dataset.coords:
        return 0.0, float(size)
    centers = np.asarray(dataset.coords[axis].values, dtype=np.float64)
    if size == 1:
        return float(centers[0]) - 0.5, float(centers[0]) + 0.5
    steps = np.diff(centers)
    dx = steps.mean()
    if not dx > 0 or np.abs(steps - dx).max() > UNEQUAL * dx:
        raise FileError(f"The coordinates of {axis} are not the centers of equal cells in growing order.")
    return float(centers[0] - dx / 2), float(centers[-1] + dx / 2)


def dataset_of(grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> Any:
    """A dataset with centers of cells as coordinates."""
    first = next(iter(grids.values()))
    sizes = dict(zip(first.dims, first.values.shape, strict=True))
    centers = {}
    for axis, low, high in zip(first.axes, first.lower, first.upper, strict=True):
        half = (high - low) / sizes[axis] / 2
        centers[axis] = np.linspace(low + half, high - half, sizes[axis])
    variables = {name: (grid.dims, grid.values) for name, grid in grids.items()}
    return xarray().Dataset(variables, centers, dict(attributes))
