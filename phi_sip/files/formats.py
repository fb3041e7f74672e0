"""Which format a file has, by its name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from phi.field import Field

from ..errors import FileError, SipError, UnsupportedError
from .arrays import AXES, BATCH, CHANNEL, GridArray, Size

# suffix → file of this package, and the libraries that it needs
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    ".npy": ("npy", ()),
    ".npz": ("npz", ()),
    ".nc": ("netcdf", ("xarray", "h5netcdf")),
    ".zarr": ("zarr", ("xarray", "zarr")),
    **dict.fromkeys((".nc4", ".h5", ".hdf5"), ("netcdf", ("xarray", "h5netcdf"))),
}
RESERVED = (*AXES, BATCH, CHANNEL, "dims", "lower", "upper", "attributes", "boundary", "components", "field_type")
NAME = re.compile(r"[\w.-]+")


class Format(Protocol):
    """What each file of a format holds."""

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        """The grid of a file, or of one of its variables."""

    def write(self, path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
        """Writes grids of the same dims and bounds by name, and what is to be known about them."""


def read_grid(path: str | Path, variable: str | None = None, dims: Sequence[str] | None = None) -> GridArray:
    """
    Reads a grid, and all that its file says about it. What the file does not say remains unknown: `GridArray.to_field`
    asks for it.

    | format | dims | bounds | boundary | components |
    |---|---|---|---|---|
    | `.npy` | `dims`, or (batch, x, …) | – | – | – |
    | `.npz` | as `.npy` | arrays `x`, `y-coordinate`, … | array `boundary` | array `vector` |
    | `.npz` of PhiFlow's `field.write`, and scenes | their own | their own | theirs, as data | their own |
    | `.npz` of phi_sip | their own | their own | its own | their own |
    | `.nc`, `.nc4`, `.h5`, `.hdf5`, `.zarr` | their own | coordinates | attribute `boundary` | coordinate of `vector` |

    Coordinates are those of the dims, or arrays that are called after an axis: `x`, `X`, `x-coordinate`, `coords/x`,
    `x_faces`, also of the shape of the grid: `X` and `Y` of `np.meshgrid`, if each changes along one axis only. They
    must be the centers, or the faces, of equal cells, not contradict each other, and change along the axes whose names
    they have: for dims x, y that is `np.meshgrid(x, y, indexing="ij")`. Attributes of boundaries may also be those of
    the variable, and be called `Boundary`, `boundary_conditions`, `bc_x`, ….

    A boundary, or names of components, that the file states but that have no meaning here (`dirichlet`) are not
    replaced by anything: they are to be given where the grid is used.

    Args:
        path: File, or folder for `.zarr`.
        variable: Which array, `T` or `group/T`; needed where there are several that are no coordinates.
        dims: Their names in order, out of batch, x, y, z, vector: of an array without names, or in place of other
            names, such as time, lat, lon.

    Raises:
        FileError: if it is missing, damaged, of an unknown format, larger than the memory that is left, or holds no
            grid of finite numbers, or stand-ins for missing data: NetCDF's fill values, or numbers that `_FillValue`,
            `missing_value`, `valid_range`, `valid_min` or `valid_max` declare.
        UnsupportedError: if the library for the format is missing.
    """
    path = Path(path)
    try:
        path.stat()
    except FileNotFoundError as error:
        raise FileError(f"There is no file {path}.") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error}.") from error
    found = _format(path)
    try:
        return found.read(path, variable, dims)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
    except Exception as error:  # of all the libraries below: there is no list of what they raise for damaged files
        raise FileError(f"{path} cannot be read: {type(error).__name__}: {error}. Is it damaged?") from error


def read_field(
    path: str | Path,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    boundary: Any = None,
    precision: int = 64,
    size: Size | None = None,
    components: Sequence[str] | None = None,
) -> Field:
    """`read_grid(path, variable, dims).to_field(boundary, precision, size, components)`."""
    return read_grid(path, variable, dims).to_field(boundary, precision, size, components)


def write_grids(path: str | Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str] | None = None) -> None:
    """
    Writes grids by name; the file is there whole or not at all. What is changed in it later, unless in an `.npy` file,
    is refused when it is read: all other formats keep checksums of the values.

    Args:
        path: File, or folder for `.zarr`; the suffix says the format. `.npy` holds one grid only.
        grids: Of the same dims, bounds, boundary and components.
        attributes: What is to be known about them; `.npy` holds none.

    Raises:
        FileError: if the format is unknown, or it cannot be written.
        ParameterError: if a grid is from a file that states a boundary, or components, without a meaning here.
        UnsupportedError: if the library for the format is missing.
    """
    path = Path(path)
    check_writable(path)
    for name in grids:
        if name in RESERVED or not NAME.fullmatch(name):
            raise FileError(f"{path}: a grid cannot be named '{name}', which means something else in files.")
    grids = {name: grid.told() for name, grid in grids.items()}  # raises for what could not be read
    if len({(grid.dims, grid.values.shape, *grid.cells[2:]) for grid in grids.values()}) != 1:
        raise FileError(
            f"{path}: one file holds grids of the same dims, sizes, bounds, boundary and components, at least one."
        )
    try:
        _format(path).write(path, grids, attributes or {})
    except SipError:
        raise
    except Exception as error:  # of all the libraries below
        raise FileError(f"{path} cannot be written: {type(error).__name__}: {error}.") from error


def check_writable(path: Path) -> None:
    """
    What can be known before the grids are there to be written.

    Raises:
        FileError: if the format is unknown, there is no folder for it, or a folder is in its place.
        UnsupportedError: if the library for the format is missing.
    """
    _format(path)
    if not path.parent.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise FileError(f"{path} is there already, and is a folder. Name another, or remove it.")


def _format(path: Path) -> Format:
    around = next((folder for folder in path.parents if folder.suffix == ".zarr"), None)
    if around is not None:
        group = path.relative_to(around).as_posix()
        raise FileError(f"{path} is inside of {around}. Name {around}, and the array with --variable {group}/NAME.")
    if path.suffix not in FORMATS:
        raise FileError(f"{path}: the format '{path.suffix}' is not known. Use one of {', '.join(FORMATS)}.")
    name, libraries = FORMATS[path.suffix]
    missing = [library for library in libraries if find_spec(library) is None]
    if missing:
        raise UnsupportedError(
            f"{path}: {path.suffix} needs {', '.join(missing)}, not installed here. Install it: "
            f"pip install 'phi-sip[files]'"
        )
    module: Any = importlib.import_module(f".{name}", __package__)
    return module  # type: ignore[no-any-return]
