"""
The arrays of an HDF5 file, read through xarray's store for h5netcdf.

h5py tells what neither xarray nor h5netcdf tells: labels of dims, HDF5's own fill value, how many chunks were written,
and what leads out of the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from .arrays import GridArray
from .contents import groups_in
from .datasets import grid_of
from .refusals import warn_unwritten
from .stores import stored_arrays

WRITTEN_BY = "_NCProperties"  # attribute that NetCDF's libraries leave in their files
PHONY = "phony_dim"  # h5netcdf's name for dims that have none


def read_hdf5(path: Path, variable: str | None, dims: Sequence[str] | None, *, is_netcdf: bool) -> GridArray:
    """
    Reads a grid from an HDF5 file.

    Args:
        path: See `read_grid`.
        variable: See `read_grid`.
        dims: See `read_grid`.
        is_netcdf: Whether a NetCDF library wrote the file, also if the file itself does not say it.
    """
    import h5netcdf  # type: ignore[import-untyped]
    import h5py  # type: ignore[import-untyped]
    from xarray.backends import H5NetCDFStore

    with h5py.File(path) as file:  # h5netcdf does not close files that are no HDF5
        _check_inside(file)
        known = partial(_known, file, is_netcdf or WRITTEN_BY in file.attrs)
        with h5netcdf.File(path, "r", phony_dims="sort") as opened:
            stores: dict[str, Any] = {
                name: H5NetCDFStore(group) for name, group in groups_in(opened, lambda g: g.groups.items())
            }
            arrays = [array for name, store in stores.items() for array in stored_arrays(store, name, known)]
            attributes = {name: dict(store.get_attrs()) for name, store in stores.items()}
            return grid_of(arrays, attributes, variable, dims)


def _check_inside(group: Any) -> None:
    """Refuses what leads out of the file, as it could lead to any file that the user can read."""
    import h5py

    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise FileError(
                f"'{name}' is a link to another file, {link.filename}. Copy what it links to into the file."
            )
        found = group.get(name) if isinstance(link, h5py.HardLink) else None
        if isinstance(found, h5py.Dataset) and (found.external or (found.is_virtual and _sources(found) != {"."})):
            raise FileError(f"The numbers of '{name}' lie in other files. Copy them into this file, e.g. by h5repack.")
        if isinstance(found, h5py.Group):
            _check_inside(found)


def _sources(dataset: Any) -> set[str]:
    return {source.file_name for source in dataset.virtual_sources()}


def _known(file: Any, is_netcdf: bool, path: str, variable: Any) -> dict[str, Any]:
    """Returns what h5py knows of an array."""
    dataset = file[path]
    labels = [dim.label for dim in dataset.dims]
    names = tuple(label or str(name) for label, name in zip(labels, variable.dims, strict=True))
    return {
        "dims": None if any(name.startswith(PHONY) for name in names) else names,
        "dtype": np.dtype(dataset.dtype),
        "load": partial(_values, path, dataset, variable),
        "fill": dataset.fillvalue if dataset.dtype.kind in "fiu" else None,
        "netcdf": is_netcdf,
    }


def _values(path: str, dataset: Any, variable: Any) -> Any:
    """Returns the numbers of an array; warns if chunks of it were never written."""
    if dataset.chunks:
        parts = math.prod(-(-size // part) for size, part in zip(dataset.shape, dataset.chunks, strict=True))
        missing = parts - dataset.id.get_num_chunks()
    else:
        parts, missing = 1, int(dataset.size > 0 and not dataset.is_virtual and dataset.id.get_storage_size() == 0)
    warn_unwritten(path, missing, parts, dataset.fillvalue)
    return variable.values
