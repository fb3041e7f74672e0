"""NetCDF and HDF5. Version 4 and `.h5` by h5netcdf; version 3, by SciPy, is read only. Written by xarray."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..storage.atomic import written_file
from .arrays import GridArray
from .contents import StoredArray
from .datasets import dataset_of, grid_of
from .memory import check_fits
from .missing import warn_unwritten

VERSION_3 = b"CDF"
SUFFIXES = (".nc", ".nc4")
WRITTEN_BY = "_NCProperties"  # what NetCDF's libraries leave in their files
PHONY = "phony_dim"  # what h5netcdf calls dims that have no names


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    with path.open("rb") as file:
        is_version_3 = file.read(len(VERSION_3)) == VERSION_3
    return (_version_3 if is_version_3 else _hdf5)(path, variable, dims)


def _version_3(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    from scipy.io import netcdf_file

    check_fits("Its content", (path.stat().st_size,), np.dtype(np.uint8))
    with netcdf_file(path, "r", mmap=False) as file:
        arrays = [
            StoredArray(
                name,
                tuple(found.dimensions),
                tuple(found.shape),
                np.dtype(found.data.dtype),
                partial(getattr, found, "data"),
                {key: _text(value) for key, value in found._attributes.items()},
                netcdf=True,
            )
            for name, found in file.variables.items()
        ]
        return grid_of(arrays, {"": {k: _text(v) for k, v in file._attributes.items()}}, variable, dims)


def _text(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _hdf5(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    import h5netcdf  # type: ignore[import-untyped]
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path) as file:  # h5netcdf does not end well with what is no HDF5
        _check_inside(file, path)
        netcdf = path.suffix in SUFFIXES or WRITTEN_BY in file.attrs
    with h5netcdf.File(path, "r", phony_dims="sort") as file:
        groups = dict(_groups(file, ""))
        arrays = [
            _stored(f"{name}/{key}".strip("/"), found, netcdf)
            for name, group in groups.items()
            for key, found in group.variables.items()
        ]
        return grid_of(arrays, {name: _attributes(group) for name, group in groups.items()}, variable, dims)


def _check_inside(group: Any, path: Path) -> None:
    """Refuses what leads out of the file: it could be any file of whoever reads it."""
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
            _check_inside(found, path)


def _sources(dataset: Any) -> set[str]:
    return {source.file_name for source in dataset.virtual_sources()}


def _groups(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, group
    for key, inner in group.groups.items():
        yield from _groups(inner, f"{name}/{key}".strip("/"))


def _stored(path: str, found: Any, netcdf: bool) -> StoredArray:
    dataset = found._h5ds
    labels = [dim.label for dim in dataset.dims]  # what HDF5 itself calls them
    names = tuple(label or str(name) for label, name in zip(labels, found.dimensions, strict=True))
    return StoredArray(
        path,
        None if any(name.startswith(PHONY) for name in names) else names,
        tuple(found.shape),
        np.dtype(dataset.dtype),
        partial(_values, path, found),
        _attributes(found),
        dataset.chunks or (),
        dataset.fillvalue if dataset.dtype.kind in "fiu" else None,
        netcdf,
    )


def _values(path: str, found: Any) -> Any:
    dataset = found._h5ds
    if dataset.chunks:
        parts = math.prod(-(-size // part) for size, part in zip(dataset.shape, dataset.chunks, strict=True))
        missing = parts - dataset.id.get_num_chunks()
    else:
        parts, missing = 1, int(dataset.size > 0 and not dataset.is_virtual and dataset.id.get_storage_size() == 0)
    warn_unwritten(path, missing, parts, dataset.fillvalue)
    return found[...]


def _attributes(owner: Any) -> dict[str, Any]:
    return {key: _text(owner.attrs[key]) for key in owner.attrs if key not in ("DIMENSION_LIST", "REFERENCE_LIST")}


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    dataset = dataset_of(grids, attributes)
    checksums = {str(n): {"fletcher32": True} for n, found in dataset.variables.items() if found.dtype.kind != "U"}
    with written_file(path) as unfinished:
        dataset.to_netcdf(unfinished, engine="h5netcdf", encoding=checksums)
