"""TIFF, by tifffile: images and stacks of images. It is read only, as TIFF knows neither lengths nor boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import GridArray
from .contents import StoredArray
from .datasets import grid_of
from .dims import BATCH, CHANNEL
from .file_format import FileFormat
from .missing import FILL
from .refusals import warn_unwritten

DIMS = {"X": "x", "Y": "y", "Z": "z", "C": CHANNEL, "S": CHANNEL}  # all other dims of TIFF count images
NO_DATA = 42113  # GDAL's tag for the number that means a missing value


class Tiff(FileFormat):
    """
    TIFF. The first row of an image has the lowest y. A file with several series of images has one array for each, with
    the names 0, 1, ….
    """

    name = "tiff"
    suffixes = (".tif", ".tiff")
    libraries = ("tifffile",)

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        from tifffile import TiffFile

        with TiffFile(path) as file:
            arrays = [_stored(str(number), series) for number, series in enumerate(file.series)]
            return grid_of(arrays, {}, variable, dims)


def _stored(name: str, series: Any) -> StoredArray:
    dims = tuple(DIMS.get(axis, BATCH) for axis in series.axes)
    page = series.keyframe
    return StoredArray(
        name,
        dims if len(set(dims)) == len(dims) else None,
        tuple(series.shape),
        np.dtype(series.dtype),
        partial(_values, name, series),
        {FILL: page.nodata} if NO_DATA in page.tags else {},
        tuple(page.chunks),
    )


def _values(name: str, series: Any) -> Any:
    """Returns the numbers of a series; warns if parts of its images were never written."""
    sizes = [size for page in series.pages if page is not None for size in page.databytecounts]
    warn_unwritten(name, sizes.count(0), len(sizes), series.keyframe.nodata)
    return series.asarray()
