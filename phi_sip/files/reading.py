"""Reading grids and fields from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phi.field import Field

from ..errors import FileError
from .arrays import GridArray
from .domain import Size
from .formats import format_of


def read_grid(path: str | Path, variable: str | None = None, dims: Sequence[str] | None = None) -> GridArray:
    """
    Reads a grid, and all that its file says about it. What the file does not say stays unknown; `GridArray.to_field`
    takes it as an argument.

    | format | dims | bounds | boundary | components |
    |---|---|---|---|---|
    | `.npy` | `dims`, or (batch, x, …) | – | – | – |
    | `.npz` | as `.npy` | arrays `x`, `y-coordinate`, … | array `boundary` | array `vector` |
    | `.npz` of PhiFlow's `field.write`, and scenes | in the file | in the file | in the file | in the file |
    | `.npz` of phi_sip | in the file | in the file | in the file | in the file |
    | `.nc`, `.nc4`, `.h5`, `.hdf5`, `.zarr` | in the file | coordinates | attribute `boundary` | array `vector` |
    | `.mat` | `dims`, or (batch, x, …) | arrays `x`, `y_centers`, … | array `boundary` | array `vector` |
    | `.tif`, `.tiff` | in the file | – | – | – |

    Coordinates are those of the dims, or arrays whose names contain an axis: `x`, `X`, `x-coordinate`, `coords/x`,
    `x_faces`. They may have the shape of the grid, as `X` and `Y` of `np.meshgrid`, if each changes along one axis
    only. They must be the centers, or the faces, of equal cells, not contradict each other, and change along the axes
    whose names they have: for dims x, y that is `np.meshgrid(x, y, indexing="ij")`. The attribute `boundary` may also
    be that of the variable, and be called `Boundary`, `boundary_conditions`, `bc_x`, ….

    If the file states a boundary, or names of components, without a meaning here (`dirichlet`), nothing else takes
    their place: the user must give them where the grid is used. Plugins can add formats, see
    `phi_sip.files.file_format.FileFormat`.

    Args:
        path: File, or folder for `.zarr`.
        variable: Name of the array, `T` or `group/T`. It is needed if the file has several arrays besides coordinates.
        dims: Names of the dims in order, out of batch, x, y, z, vector: for an array whose dims have no names in the
            file, or in place of other names, such as time, lat, lon.

    Raises:
        FileError: if the file is missing, damaged, of an unknown format, or larger than the memory that is left; if it
            holds no grid of finite numbers; or if it holds stand-ins for missing data: NetCDF's fill values, or
            numbers that `_FillValue`, `missing_value`, `valid_range`, `valid_min` or `valid_max` declare.
        DuplicateNameError: if two plugins give a format for this suffix.
        UnsupportedError: if a library for the format is missing.
    """
    path = Path(path)
    try:
        path.stat()
    except FileNotFoundError as error:
        raise FileError(f"There is no file {path}.") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error}.") from error
    found = format_of(path)
    try:
        return found.read(path, variable, dims)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
    except Exception as error:  # the libraries of the formats raise errors of many types for damaged files
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
    """Returns `read_grid(path, variable, dims).to_field(boundary, precision, size, components)`."""
    return read_grid(path, variable, dims).to_field(boundary, precision, size, components)
