"""Which format a file has, by its name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from phi.field import Field

from ..errors import FileError
from .arrays import AXES, GridArray

# suffix → file of this package
FORMATS = {".npy": "npy", ".npz": "npz", ".nc": "netcdf", ".zarr": "zarr"}


class Format(Protocol):
    """What each file of a format holds."""

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        """The grid of a file, or of one of its variables."""

    def write(self, path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
        """Writes grids of the same dims and bounds by name, and what is to be known about them."""


def read_grid(path: str | Path, variable: str | None = None, dims: Sequence[str] | None = None) -> GridArray:
    """
    Reads a grid.

    | format | dims and bounds |
    |---|---|
    | `.npy` | (batch, x, …) unless `dims` say otherwise; cells of length 1 |
    | `.npz` | as `.npy`; files of PhiFlow's `field.write` have their own. The boundary is not read, being code |
    | `.nc`, `.zarr` | their own; coordinates are centers of equal cells |

    Args:
        path: File, or folder for `.zarr`.
        variable: Which array; needed where there are several.
        dims: Their names in order, out of batch, x, y, z, vector; for NumPy files.

    Raises:
        FileError: if it is missing, damaged, of an unknown format, or holds no grid of finite numbers.
        UnsupportedError: if the library for the format is missing.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"There is no file {path}.")
    try:
        return _format(path).read(path, variable, dims)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error


def read_field(
    path: str | Path,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    boundary: str = "periodic",
    precision: int = 64,
) -> Field:
    """`read_grid(path, variable, dims).to_field(boundary, precision)`."""
    return read_grid(path, variable, dims).to_field(boundary, precision)


def write_grids(path: str | Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str] | None = None) -> None:
    """
    Writes grids by name; the file is there whole or not at all.

    Args:
        path: File, or folder for `.zarr`; the suffix says the format. `.npy` holds one grid only.
        grids: Of the same dims and bounds.
        attributes: What is to be known about them; `.npy` holds none.

    Raises:
        FileError: if the format is unknown, or it cannot be written.
        UnsupportedError: if the library for the format is missing.
    """
    path = Path(path)
    found = _format(path)
    clash = sorted(set(grids) & set(AXES))
    if clash:
        raise FileError(f"{path}: a grid cannot be named {', '.join(clash)}, as axes are.")
    try:
        found.write(path, grids, attributes or {})
    except OSError as error:
        raise error if isinstance(error, FileError) else FileError(f"{path} cannot be written: {error}.") from error


def _format(path: Path) -> Format:
    if path.suffix not in FORMATS:
        raise FileError(f"{path}: the format '{path.suffix}' is not known. Use one of {', '.join(FORMATS)}.")
    module: Any = importlib.import_module(f".{FORMATS[path.suffix]}", __package__)
    return module  # type: ignore[no-any-return]


def chosen(variable: str | None, names: Sequence[str]) -> str:
    """The variable asked for, or the only one."""
    if variable is None and len(names) == 1:
        return names[0]
    if variable is None or variable not in names:
        asked = "no variable was named" if variable is None else f"there is no variable '{variable}'"
        raise FileError(f"It holds {', '.join(sorted(names)) or 'nothing'}, and {asked}. Name one with --variable.")
    return variable
