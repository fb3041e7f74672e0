"""Fields in files: one file per format. Nothing that is read can run code: no pickle is ever loaded."""

from .arrays import BATCH, CHANNEL, GridArray, Size, joined
from .formats import FORMATS, check_writable, read_field, read_grid, write_grids
from .kept import KeptGrids

__all__ = [
    "BATCH",
    "CHANNEL",
    "FORMATS",
    "GridArray",
    "KeptGrids",
    "Size",
    "check_writable",
    "joined",
    "read_field",
    "read_grid",
    "write_grids",
]
