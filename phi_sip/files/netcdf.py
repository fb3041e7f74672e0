"""NetCDF, by xarray and h5netcdf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..checkpoints.atomic import written_file
from .arrays import GridArray
from .datasets import dataset_of, read_dataset, xarray


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    return read_dataset(lambda: xarray().open_dataset(path, engine="h5netcdf"), variable, dims)


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    dataset = dataset_of(grids, attributes)
    with written_file(path) as unfinished:
        dataset.to_netcdf(unfinished, engine="h5netcdf")
