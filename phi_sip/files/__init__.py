"""Fields in files: one file per format. Nothing that is read can run code: no pickle is ever loaded."""

from .arrays import GridArray
from .formats import FORMATS, read_field, read_grid, write_grids

__all__ = ["FORMATS", "GridArray", "read_field", "read_grid", "write_grids"]
