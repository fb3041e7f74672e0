"""Zarr; written by xarray."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..storage.atomic import written_folder
from .arrays import GridArray
from .contents import StoredArray
from .datasets import dataset_of, grid_of
from .missing import FILL, warn_unwritten

DIMS = "_ARRAY_DIMENSIONS"  # xarray's attribute of dims, in Zarr's version 2
PLAIN = {  # codecs of bytes, numbers and text; others, as `pickle`, could run code
    *("bytes", "transpose", "sharding_indexed", "endian", "vlen-utf8", "json2"),
    *("blosc", "zstd", "zlib", "gzip", "bz2", "lzma", "lz4", "zfpy", "pcodec", "shuffle"),
    *("delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "astype"),
    *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
}


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
        partial(_values, path, found),
        attributes,
        tuple(getattr(found, "shards", None) or found.chunks),
        found.fill_value if dtype.kind in "fiu" else None,
    )


def _values(path: str, found: Any) -> Any:
    """
    All numbers of an array.

    Raises:
        FileError: if its codecs could run code; before any of them does.
    """
    strange = sorted(name for name in _codecs(found) if name.removeprefix("numcodecs.") not in PLAIN)
    if strange:
        raise FileError(
            f"'{path}' is stored by the codec {', '.join(strange)}, which is none of those that only pack numbers and "
            f"text, and could run code. It was not read. Store it by another, e.g. zstd."
        )
    warn_unwritten(path, found.nchunks - found.nchunks_initialized, found.nchunks, found.fill_value)
    return found[...]


def _codecs(found: Any) -> Iterator[str]:
    """Names of all codecs of an array: of Zarr's version 3, of version 2, and of version 2 by zarr 2."""
    about = found.metadata.to_dict() if hasattr(found, "metadata") else {}
    if about.get("zarr_format") == 3:
        yield from _names(about["codecs"])
        return
    for codec in (*(found.filters or ()), *(getattr(found, "compressors", None) or (found.compressor,))):
        if codec is not None:
            yield str(codec.codec_id)


def _names(codecs: Any) -> Iterator[str]:
    """Also of those that are inside of others."""
    for codec in codecs:
        yield str(codec["name"])
        inner = codec.get("configuration") or {}
        for key in ("codecs", "index_codecs"):
            yield from _names(inner.get(key, ()))


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
