"""Fields in files, with one file per format. No pickle is ever loaded, so nothing that is read can run code."""

from .arrays import GridArray, joined
from .dims import BATCH, CHANNEL
from .domain import Size
from .file_format import FileFormat
from .formats import file_formats
from .kept import KeptGrids
from .reading import read_field, read_grid
from .writing import check_writable, write_grids

__all__ = [
    "BATCH",
    "CHANNEL",
    "FileFormat",
    "GridArray",
    "KeptGrids",
    "Size",
    "check_writable",
    "file_formats",
    "joined",
    "read_field",
    "read_grid",
    "write_grids",
]
