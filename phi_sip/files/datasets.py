"""What NetCDF and Zarr share: xarray's datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import FileError
from .arrays import AXES, BOUNDARIES, GridArray
from .formats import chosen

UNEQUAL = 1e-4  # of a cell, by which centers may be off
BOUNDARY, UNITS = "boundary", "units"
COORDINATES = "axes_with_coordinates"  # xarray leaves out arrays that are missing or cannot be read


def grid_of(dataset: Any, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    """The grid of a variable of a dataset. Coordinates are those of its own dims, also where `dims` renames them."""
    array = dataset[chosen(variable, list(dataset.data_vars))]
    own = tuple(map(str, array.dims))
    names = tuple(dims) if dims else own
    if len(names) != len(own):
        raise FileError(f"Its dims are {', '.join(own)}, which cannot be called {', '.join(names)}.")
    axes = {name: old for name, old in zip(names, own, strict=True) if name in AXES}
    bounds = [_bounds(dataset, old, dataset.sizes[old]) for old in axes.values()]
    units = {
        name: str(dataset.coords[old].attrs[UNITS])
        for name, old in axes.items()
        if old in dataset.coords and UNITS in dataset.coords[old].attrs
    }
    boundary = dataset.attrs.get(BOUNDARY)
    lower, upper = (tuple(b[i] for b in bounds) for i in (0, 1))
    known = boundary if isinstance(boundary, str) and boundary in BOUNDARIES else None
    located = any(axis in dataset.coords for axis in axes.values())
    return GridArray(np.asarray(array.values), names, lower, upper, known, units, located)


def _bounds(dataset: Any, axis: str, size: int) -> tuple[float, float]:
    """Of an axis: from centers of equal cells, or of cells of length 1."""
    if axis not in dataset.coords:
        if axis in str(dataset.attrs.get(COORDINATES, "")).split():
            raise FileError(
                f"The coordinates of {axis} are missing or damaged: '{COORDINATES}' says that there are some."
            )
        return 0.0, float(size)
    stored = np.asarray(dataset.coords[axis].values)
    if stored.dtype.kind not in "fiu":
        raise FileError(f"The coordinates of {axis} are of type {stored.dtype}, not numbers.")
    centers = stored.astype(np.float64)
    if size == 1:
        return float(centers[0]) - 0.5, float(centers[0]) + 0.5
    dx = (centers[-1] - centers[0]) / (size - 1)
    rounding = np.finfo(stored.dtype).eps * np.abs(centers).max() if stored.dtype.kind == "f" else 0.0
    off = np.abs(np.diff(centers) - dx).max()
    if not (dx > 0 and off <= UNEQUAL * dx + 2 * rounding < 0.1 * dx):
        raise FileError(f"The coordinates of {axis} are not the centers of equal cells in growing order.")
    return float(centers[0] - dx / 2), float(centers[-1] + dx / 2)


def dataset_of(grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> Any:
    """A dataset with centers of cells as coordinates."""
    import xarray

    first = next(iter(grids.values()))
    sizes = dict(zip(first.dims, first.values.shape, strict=True))
    coordinates = {}
    for axis, low, high in zip(first.axes, first.lower, first.upper, strict=True):
        half = (high - low) / sizes[axis] / 2
        about = {UNITS: first.units[axis]} if axis in first.units else {}
        coordinates[axis] = (axis, np.linspace(low + half, high - half, sizes[axis]), about)
    own = {COORDINATES: " ".join(first.axes), **({BOUNDARY: first.boundary} if first.boundary else {})}
    variables = {name: (grid.dims, grid.values) for name, grid in grids.items()}
    return xarray.Dataset(variables, coordinates, {**attributes, **own})
