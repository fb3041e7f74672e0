"""Writing grids to files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import FileError, SipError
from .arrays import GridArray
from .dims import AXES, BATCH, CHANNEL
from .formats import format_of

RESERVED = (*AXES, BATCH, CHANNEL, "dims", "lower", "upper", "attributes", "boundary", "components", "field_type")
NAME = re.compile(r"[\w.-]+")


def write_grids(path: str | Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str] | None = None) -> None:
    """
    Writes grids by name; the file is there whole or not at all. All formats but `.npy` keep checksums of the values, so
    that a file that was changed later is refused when it is read.

    Args:
        path: File, or folder for `.zarr`; the suffix says the format. `.npy` holds one grid only.
        grids: Grids of the same dims, bounds, boundary and components.
        attributes: Texts about the grids, by name; `.npy` holds none.

    Raises:
        FileError: if the format is unknown or read only, or the file cannot be written.
        ParameterError: if a grid is from a file that states a boundary, or components, without a meaning here.
        DuplicateNameError: if two plugins give a format for this suffix.
        UnsupportedError: if a library for the format is missing.
    """
    path = Path(path)
    check_writable(path)
    for name in grids:
        if name in RESERVED or not NAME.fullmatch(name):
            raise FileError(f"{path}: a grid cannot be named '{name}', which means something else in files.")
    grids = {name: grid.told() for name, grid in grids.items()}  # raises if the file said what has no meaning here
    if len({(grid.dims, grid.values.shape, *grid.cells[2:]) for grid in grids.values()}) != 1:
        raise FileError(
            f"{path}: one file holds grids of the same dims, sizes, bounds, boundary and components, at least one."
        )
    try:
        format_of(path).write(path, grids, attributes or {})
    except SipError:
        raise
    except Exception as error:  # the libraries of the formats raise errors of many types
        raise FileError(f"{path} cannot be written: {type(error).__name__}: {error}.") from error


def check_writable(path: Path) -> None:
    """
    Checks all that can be checked before the grids to write are there.

    Raises:
        FileError: if the format is unknown or read only, there is no folder for the file, or a folder is in its place.
        UnsupportedError: if a library for the format is missing.
    """
    format_of(path).check_written(path)
    if not path.parent.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise FileError(f"{path} is there already, and is a folder. Name another, or remove it.")
