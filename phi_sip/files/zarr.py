"""Zarr; written by xarray."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.atomic import written_folder
from .arrays import GridArray
from .contents import StoredArray
from .datasets import dataset_of, grid_of
from .missing import FILL

DIMS = "_ARRAY_DIMENSIONS"  # xarray's attribute of dims, in Zarr's version 2


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    import zarr

    root = zarr.open(str(path), mode="r")
    if isinstance(root, zarr.Array):
        return grid_of([_stored("array", root)], {}, variable, dims)
    groups = dict(_groups(root, ""))
    arrays = [
        _stored(f"{name}/{key}".strip("/"), found) for name, group in groups.items() for key, found in group.arrays()
    ]
    return grid_of(arrays, {name: dict(group.attrs) for name, group in groups.items()}, variable, dims)


def _groups(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, group
    for key, inner in group.groups():
        yield from _groups(inner, f"{name}/{key}".strip("/"))


def _stored(path: str, found: Any) -> StoredArray:
    attributes = dict(found.attrs)
    names = getattr(getattr(found, "metadata", None), "dimension_names", None) or attributes.get(DIMS)
    dtype = np.dtype(found.dtype)
    if isinstance(attributes.get(FILL), str) and dtype.kind in "fiu":
        attributes[FILL] = _number(attributes[FILL])
    return StoredArray(
        path,
        tuple(map(str, names)) if names and None not in names else None,
        tuple(found.shape),
        dtype,
        lambda: found[...],
        attributes,
        tuple(getattr(found, "shards", None) or found.chunks),
        found.fill_value if dtype.kind in "fiu" else None,
    )


def _number(encoded: str) -> Any:
    """A number as xarray encodes it in Zarr's version 3: the bytes of a double, in base 64."""
    content = base64.standard_b64decode(encoded)
    return np.frombuffer(content, "<f8")[0] if len(content) == 8 else encoded


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    dataset = dataset_of(grids, attributes)
    checksums = {str(name): _compression() for name in dataset.variables}
    with written_folder(path) as unfinished:
        dataset.to_zarr(unfinished, mode="w", consolidated=False, encoding=checksums)


def _compression() -> dict[str, Any]:
    """Zstandard with a checksum, as zarr 3 or zarr 2 wants to be told."""
    try:
        from zarr.codecs import ZstdCodec
    except ImportError:
        from numcodecs import Zstd  # type: ignore[import-untyped]

        return {"compressor": Zstd(checksum=True)}
    return {"compressors": [ZstdCodec(checksum=True)]}
