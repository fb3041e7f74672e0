"""NetCDF, by xarray: version 4 by h5netcdf; version 3, by SciPy, is read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..checkpoints.atomic import written_file
from .arrays import GridArray
from .datasets import dataset_of, grid_of

VERSION_3 = b"CDF"


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    import h5py  # type: ignore[import-untyped]
    import xarray

    with path.open("rb") as file:
        engine = "scipy" if file.read(len(VERSION_3)) == VERSION_3 else "h5netcdf"
    if engine == "h5netcdf":
        h5py.File(path).close()  # h5netcdf does not end well with what is no HDF5
    with xarray.open_dataset(path, engine=engine, decode_times=False) as dataset:
        return grid_of(dataset, variable, dims)


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    dataset = dataset_of(grids, attributes)
    checksums = {str(name): {"fletcher32": True} for name in dataset.variables}
    with written_file(path) as unfinished:
        dataset.to_netcdf(unfinished, engine="h5netcdf", encoding=checksums)
