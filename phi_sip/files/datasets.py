"""What formats share whose files hold arrays by name: which of them is the grid, and what the others say about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import FileError
from .arrays import AXES, BATCH, CHANNEL, COMPONENTS, GridArray, named
from .boundaries import says_boundary, stated
from .contents import TEXT, StoredArray
from .lengths import BOUNDS, extent_of, meshes, says_axis

BOUNDARY, UNITS = "boundary", "units"
COORDINATES = "axes_with_coordinates"  # what is missing or damaged in a file is not missed by its reader
TIMES = ("t", "time")
PLACES = ("coord", "scale", "dimension", "grid", "mesh")  # how groups of coordinates are called


def grid_of(
    arrays: Sequence[StoredArray],
    attributes: Mapping[str, Mapping[str, Any]],
    variable: str | None,
    dims: Sequence[str] | None,
    usual: Any = None,
) -> GridArray:
    """
    The grid of an array in a file.

    Args:
        arrays: All arrays of the file.
        attributes: Of its groups, by path; that of the whole file is ''.
        variable: Path of the array.
        dims: Names of its dims, in place of those in the file.
        usual: Names of the dims of an array of a rank; `None`: they are to be given.

    Raises:
        FileError: if there is no such array, it is no grid, or what the file says about it cannot be used.
    """
    array = chosen(variable, arrays)
    own = array.dims
    if dims is None and own is None and usual is None:
        raise FileError(
            f"The dims of '{array.path}', {' × '.join(map(str, array.shape))}, have no names in the file. Name them in "
            f"order, e.g. --dims batch,x,y."
        )
    names = tuple(dims or own or usual(len(array.shape)))
    if len(names) != len(array.shape):
        called = f"dims are {', '.join(own)}" if own else f"shape is {array.shape}"
        raise FileError(f"Its {called}, which cannot be called {', '.join(names)}.")
    about = _inherited(array.group, attributes)
    others = _nearest(array, arrays)
    extents = {
        name: extent_of(place, name, names, own, array, others) for place, name in enumerate(names) if name in AXES
    }
    _check_complete(about, names, own, others)
    renamed = dict(zip(own or names, names, strict=True))
    components, unread = _components(array, names, own, others)
    return named(
        array.values(names.index(BATCH) if BATCH in names else None),
        names,
        {axis: extent.bounds for axis, extent in extents.items()},
        renamed,
        boundary=_boundary(array, attributes, others),
        components=components,
        unread={} if unread is None else {COMPONENTS: unread},
        units={axis: extent.units for axis, extent in extents.items() if extent.units is not None},
    )


def chosen(variable: str | None, arrays: Sequence[StoredArray]) -> StoredArray:
    """The array asked for, or the only one that is none of the coordinates."""
    by_path = {array.path: array for array in arrays}
    if variable is not None and variable.strip("/") in by_path:
        return by_path[variable.strip("/")]
    coordinates = {path for array in arrays for path in _named_by(array)}
    candidates = [a for a in arrays if a.path not in coordinates and not _is_coordinate(a)] or list(arrays)
    if variable is None and len(candidates) > 1:
        of_cells = meshes(candidates)
        candidates = [a for a in candidates if a.path not in of_cells] or candidates
    if variable is None and len(candidates) == 1:
        return candidates[0]
    asked = "no variable was named" if variable is None else f"there is no variable '{variable}'"
    held = ", ".join(sorted(array.path for array in candidates)) or "no arrays"
    raise FileError(f"It holds {held}, and {asked}. Name one with --variable.")


def _is_coordinate(array: StoredArray) -> bool:
    if array.dims == (array.name,) or array.dtype.kind in TEXT or _is_boundary(array):
        return True
    named = any(says_axis(array.name, axis) for axis in (*AXES, *TIMES)) and array.name != "T"  # a temperature
    return len(array.shape) == 1 and named


def _is_boundary(array: StoredArray) -> bool:
    """Whether it says what holds at the sides: a text, or one number, but no mask of cells."""
    return says_boundary(array.name) and (array.dtype.kind in TEXT or math.prod(array.shape) == 1)


def _named_by(array: StoredArray) -> list[str]:
    """Paths of what an array names as its coordinates, or their bounds."""
    words = " ".join(str(array.attributes.get(key, "")) for key in ("coordinates", BOUNDS)).split()
    return [f"{array.group}/{word}".strip("/") for word in words]


def _nearest(array: StoredArray, arrays: Sequence[StoredArray]) -> list[StoredArray]:
    """Arrays in its group and those around it, of each name the nearest, and in groups of coordinates in them."""
    groups = _around(array.group)
    found: dict[str, StoredArray] = {}
    for other in arrays:
        outer, _, last = other.group.rpartition("/")
        within = other.group in groups or (outer in groups and last.lower().startswith(PLACES))
        nearer = other.name not in found or len(other.group) > len(found[other.name].group)
        if within and nearer:
            found[other.name] = other
    return list(found.values())


def _around(group: str) -> list[str]:
    """A group and those that it is in, from the whole file on."""
    parts = group.split("/") if group else []
    return ["/".join(parts[:i]) for i in range(len(parts) + 1)]


def _inherited(group: str, attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for outer in _around(group) for key, value in attributes.get(outer, {}).items()}


def _check_complete(
    about: Mapping[str, Any], names: Sequence[str], own: Sequence[str] | None, others: Sequence[StoredArray]
) -> None:
    held = {other.name for other in others}
    for name, axis in zip(names, own or names, strict=True):
        if name in AXES and axis in str(about.get(COORDINATES, "")).split() and axis not in held:
            raise FileError(
                f"The coordinates of {axis} are missing or damaged: '{COORDINATES}' says that there are some."
            )


def _boundary(array: StoredArray, attributes: Mapping[str, Mapping[str, Any]], others: Sequence[StoredArray]) -> Any:
    """What is said nearest to an array: by itself, by other arrays, by the groups that it is in; `None` if nothing."""
    by_arrays = {other.name: _said_by(other) for other in others if other.path != array.path and _is_boundary(other)}
    around = _around(array.group)
    groups = [attributes.get(group, {}) for group in reversed(around)]
    parts = {group: group.rpartition("/") for group in attributes if group}
    by_groups = {name: f"group {group}" for group, (outer, _, name) in parts.items() if outer in around}
    places = (array.attributes, by_arrays, *groups, by_groups)
    return next((said for about in places if (said := stated(about)) is not None), None)


def _said_by(array: StoredArray) -> Any:
    if array.dtype.kind not in TEXT:
        return array.values()
    words = array.words()
    return words[0] if words is not None and len(words) == 1 else words or f"an array of type {array.dtype}"


def _components(
    array: StoredArray, names: Sequence[str], own: Sequence[str] | None, others: Sequence[StoredArray]
) -> tuple[list[str] | None, str | None]:
    """What the file calls the components; and what it says of them that are no names."""
    if CHANNEL not in names:
        return None, None
    name = CHANNEL if own is None else own[list(names).index(CHANNEL)]
    for other in others:
        if other.name == name and other.path != array.path and (other.dtype.kind in TEXT or len(other.shape) <= 1):
            words = other.words()
            return words, None if words is not None else f"'{other.path}', an array of type {other.dtype}"
    return None, None


def dataset_of(grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> Any:
    """A dataset of xarray, with centers of cells, and names of components, as coordinates."""
    import xarray

    first = next(iter(grids.values()))
    sizes = dict(zip(first.dims, first.values.shape, strict=True))
    known = first.bounds
    coordinates: dict[str, Any] = {}
    for axis, (low, high) in known.items():
        half = (high - low) / sizes[axis] / 2
        about = {UNITS: first.units[axis]} if axis in first.units else {}
        if sizes[axis] == 1:  # a center alone does not tell the length of a cell
            faces = f"{axis}_{BOUNDS}"
            about[BOUNDS] = faces
            coordinates[faces] = ((axis, "face"), np.array([[low, high]]))
        coordinates[axis] = (axis, np.linspace(low + half, high - half, sizes[axis]), about)
    if first.components is not None:
        coordinates[CHANNEL] = (CHANNEL, list(first.components))
    own = {COORDINATES: " ".join(known), **({BOUNDARY: first.boundary} if first.boundary else {})}
    variables = {name: (grid.dims, grid.values) for name, grid in grids.items()}
    return xarray.Dataset(variables, coordinates, {**attributes, **own})
