"""
Zarr, written by xarray and read by zarr itself.

xarray's store for Zarr cannot be used for reading: it refuses a file if one array has no names of dims, and a file that
is one array; it takes the fill value of version 2, usually 0, for a missing value; and it tells neither which codecs an
array has nor how many chunks were written.
"""

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
from .contents import StoredArray, groups_in
from .datasets import grid_of
from .file_format import FileFormat
from .missing import FILL
from .refusals import warn_unwritten
from .stores import dataset_of

DIMS = "_ARRAY_DIMENSIONS"  # attribute in which xarray keeps the names of dims in Zarr's version 2
PLAIN = {  # codecs that only pack bytes, numbers and text; others, such as `pickle`, could run code
    *("bytes", "transpose", "sharding_indexed", "endian", "vlen-utf8", "json2"),
    *("blosc", "zstd", "zlib", "gzip", "bz2", "lzma", "lz4", "zfpy", "pcodec", "shuffle"),
    *("delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "astype"),
    *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
}


class Zarr(FileFormat):
    """Folders of Zarr's versions 2 and 3."""

    name = "zarr"
    suffixes = (".zarr",)
    libraries = ("xarray", "zarr")

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        import zarr

        root = zarr.open(str(path), mode="r")
        if isinstance(root, zarr.Array):
            return grid_of([_stored("array", root)], {}, variable, dims)
        groups = dict(groups_in(root, lambda group: group.groups()))
        arrays = [
            _stored(f"{name}/{key}".strip("/"), found)
            for name, group in groups.items()
            for key, found in group.arrays()
        ]
        return grid_of(arrays, {name: dict(group.attrs) for name, group in groups.items()}, variable, dims)

    def write(self, path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
        dataset = dataset_of(grids, attributes)
        checksums = {str(name): _compression() for name in dataset.variables}
        with written_folder(path) as unfinished:
            dataset.to_zarr(unfinished, mode="w", consolidated=False, encoding=checksums)


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
    Returns all numbers of an array.

    Raises:
        FileError: if one of its codecs could run code; none of them has run then.
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
    """Yields the names of all codecs of an array, of Zarr's versions 2 and 3."""
    about = found.metadata.to_dict() if hasattr(found, "metadata") else {}
    if about.get("zarr_format") == 3:
        yield from _names(about["codecs"])
        return
    for codec in (*(found.filters or ()), *(getattr(found, "compressors", None) or (found.compressor,))):
        if codec is not None:
            yield str(codec.codec_id)


def _names(codecs: Any) -> Iterator[str]:
    """Yields the names of codecs and of those that are inside of others."""
    for codec in codecs:
        yield str(codec["name"])
        inner = codec.get("configuration") or {}
        for key in ("codecs", "index_codecs"):
            yield from _names(inner.get(key, ()))


def _number(encoded: str) -> Any:
    """Returns a number that xarray has encoded for Zarr's version 3: the bytes of a double, in base 64."""
    content = base64.standard_b64decode(encoded)
    return np.frombuffer(content, "<f8")[0] if len(content) == 8 else encoded


def _compression() -> dict[str, Any]:
    """Returns Zstandard with a checksum, as arguments for zarr 3 or zarr 2."""
    try:
        from zarr.codecs import ZstdCodec
    except ImportError:
        from numcodecs import Zstd  # type: ignore[import-untyped]

        return {"compressor": Zstd(checksum=True)}
    return {"compressors": [ZstdCodec(checksum=True)]}
