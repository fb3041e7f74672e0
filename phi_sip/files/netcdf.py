"""NetCDF. Version 4 is HDF5; version 3 is read by SciPy and not written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..storage.atomic import written_file
from .arrays import GridArray
from .datasets import grid_of
from .file_format import FileFormat
from .hdf5_arrays import read_hdf5
from .memory import check_fits
from .stores import dataset_of, stored_arrays

VERSION_3 = b"CDF"


class NetCdf(FileFormat):
    """
    The format of NetCDF's libraries.

    Attributes:
        is_netcdf: Whether all files with these suffixes are taken for files of NetCDF's libraries, in which some
            integers mean that a value is missing.
    """

    name = "netcdf"
    suffixes = (".nc", ".nc4")
    libraries = ("xarray", "h5netcdf")
    is_netcdf: ClassVar[bool] = True

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        with path.open("rb") as file:
            if file.read(len(VERSION_3)) == VERSION_3:
                return _read_version_3(path, variable, dims)
        return read_hdf5(path, variable, dims, is_netcdf=self.is_netcdf)

    def write(self, path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
        dataset = dataset_of(grids, attributes)
        checksums = {str(n): {"fletcher32": True} for n, found in dataset.variables.items() if found.dtype.kind != "U"}
        with written_file(path) as unfinished:
            dataset.to_netcdf(unfinished, engine="h5netcdf", encoding=checksums)


def _read_version_3(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    from xarray.backends import ScipyDataStore

    check_fits("Its content", (path.stat().st_size,), np.dtype(np.uint8))
    store = ScipyDataStore(str(path), mmap=False)
    try:
        arrays = list(stored_arrays(store, "", lambda path, variable: {"netcdf": True}))
        return grid_of(arrays, {"": dict(store.get_attrs())}, variable, dims)
    finally:
        store.close()
