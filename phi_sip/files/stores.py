"""
NetCDF, HDF5 and Zarr through xarray: arrays are read from its stores, and datasets are written by it.

`xarray.open_dataset` is not used for reading. It reads the coordinates of dims when it opens a file, whatever their
size, masks only what `_FillValue` and `missing_value` name, and refuses a file as a whole if one array does not fit the
others. A store of xarray gives each array of a group as it is stored, and reads nothing but names and attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .arrays import GridArray
from .contents import StoredArray
from .datasets import COORDINATES
from .dims import CHANNEL
from .extents import BOUNDS
from .required import BOUNDARY

UNITS = "units"


def stored_arrays(
    store: Any, group: str, known: Callable[[str, Any], Mapping[str, Any]] = lambda path, variable: {}
) -> Iterator[StoredArray]:
    """
    Yields the arrays in a group of a file, which are not read yet.

    Args:
        store: Store of xarray, opened at the group.
        group: Path of the group; '' for the whole file.
        known: Returns attributes of `StoredArray` that replace those of xarray, from the path of an array and its
            `xarray.Variable`.
    """
    for name, variable in store.get_variables().items():
        path = f"{group}/{name}".strip("/")
        found = {
            "dims": tuple(map(str, variable.dims)),
            "dtype": np.dtype(variable.dtype),
            "load": lambda variable=variable: variable.values,
            "chunk": variable.encoding.get("chunksizes") or (),
            **known(path, variable),
        }
        yield StoredArray(path, shape=tuple(variable.shape), attributes=dict(variable.attrs), **found)


def dataset_of(grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> Any:
    """Returns a dataset of xarray with the centers of cells and the names of components as coordinates."""
    import xarray

    first = next(iter(grids.values()))
    sizes = dict(zip(first.dims, first.values.shape, strict=True))
    known = first.bounds
    coordinates: dict[str, Any] = {}
    for axis, (low, high) in known.items():
        half = (high - low) / sizes[axis] / 2
        about = {UNITS: first.units[axis]} if axis in first.units else {}
        if sizes[axis] == 1:  # one center does not tell the length of its cell
            faces = f"{axis}_{BOUNDS}"
            about[BOUNDS] = faces
            coordinates[faces] = ((axis, "face"), np.array([[low, high]]))
        coordinates[axis] = (axis, np.linspace(low + half, high - half, sizes[axis]), about)
    if first.components is not None:
        coordinates[CHANNEL] = (CHANNEL, list(first.components))
    own = {COORDINATES: " ".join(known), **({BOUNDARY: first.boundary} if first.boundary else {})}
    variables = {name: (grid.dims, grid.values) for name, grid in grids.items()}
    return xarray.Dataset(variables, coordinates, {**attributes, **own})
