"""Zarr, by xarray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..checkpoints.atomic import written_folder
from ..errors import FileError
from .arrays import GridArray
from .datasets import dataset_of, read_dataset, xarray


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    return read_dataset(lambda: xarray().open_zarr(path, consolidated=False), variable, dims)


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    if path.exists():
        raise FileError(f"{path} is there already. Name another folder, or remove it.")
    dataset = dataset_of(grids, attributes)
    with written_folder(path) as unfinished:
        dataset.to_zarr(unfinished, mode="w", consolidated=False)
