"""Where the cells of a grid lie, by the coordinates that its file holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FileError
from .contents import StoredArray

UNEQUAL = 1e-4  # of a cell, by which centers may be off
CONTRADICTION = 1e-2  # of a cell, by which two coordinates of an axis may differ
BOUNDS = "bounds"  # CF's attribute of a coordinate: the name of an array of the two faces of each cell
SAID = r"(?:coord(?:inate)?s?|cent(?:er|re)s?|axis|grid|mesh|points?|pos(?:ition)?s?)"
FACES = r"(?:edges?|faces?|bnds|bounds)"
BETWEEN = r"[\s_.-]*"

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Extent:
    """
    From where to where an axis goes.

    Attributes:
        bounds: The outer faces of its first and last cell; `None` if the file does not tell.
        units: Of them, as far as they are known.
    """

    bounds: Bounds | None = None
    units: str | None = None


def says_axis(name: str, axis: str) -> bool:
    """Whether a name is that of coordinates of an axis: `x`, `X`, `x-coordinate`, `coord_x`, `x_faces`, …"""
    word = rf"(?:{SAID}|{FACES})"
    pattern = rf"(?:{word}{BETWEEN})?{re.escape(axis)}(?:{BETWEEN}{word}|c|s)?"
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


def extent_of(
    place: int,
    axis: str,
    dims: Sequence[str],
    own: Sequence[str] | None,
    array: StoredArray,
    others: Sequence[StoredArray],
) -> Extent:
    """
    The extent of an axis.

    Args:
        place: Which of the dims of the array it is.
        axis: Its name here.
        dims: Names of all dims here.
        own: Names of the dims in the file; `None` where it has none.
        array: Of which it is an axis.
        others: Arrays among which the coordinates are.

    Raises:
        FileError: if the coordinates are not those of equal cells in growing order, or contradict each other.
    """
    names = {axis} if own is None else {own[place], *({axis} - set(own))}
    found: dict[str, Extent] = {}
    for other in others:
        if other.path == array.path or not any(says_axis(other.name, name) for name in names):
            continue
        bounds = _bounds(place, axis, dims, own, array, other, others)
        if bounds is not None:
            units = other.attributes.get("units")
            found[other.path] = Extent(bounds, units if isinstance(units, str) else None)
    return _agreed(axis, found, array.shape[place])


def _agreed(axis: str, found: Mapping[str, Extent], size: int) -> Extent:
    known = [(path, extent, extent.bounds) for path, extent in found.items() if extent.bounds is not None]
    if not known:
        return Extent()
    path, first, bounds = known[0]
    cell = (bounds[1] - bounds[0]) / size
    for other_path, _, other in known[1:]:
        if max(abs(a - b) for a, b in zip(bounds, other, strict=True)) > CONTRADICTION * cell:
            raise FileError(
                f"'{path}' and '{other_path}' contradict each other: {axis} goes from {bounds[0]:g} to {bounds[1]:g} "
                f"by the one, and from {other[0]:g} to {other[1]:g} by the other. Remove the wrong one from the file."
            )
    return first


def _bounds(
    place: int,
    axis: str,
    dims: Sequence[str],
    own: Sequence[str] | None,
    array: StoredArray,
    other: StoredArray,
    others: Sequence[StoredArray],
) -> Bounds | None:
    """What another array says of an axis; `None` if it is none of its coordinates."""
    size, what = array.shape[place], f"'{other.path}'"
    tied = own is not None and other.dims is not None
    if other.dtype.kind not in "fiu":
        if tied and other.dims == (own or ())[place : place + 1]:
            raise FileError(f"The coordinates of {axis}, {what}, are of type {other.dtype}, not numbers.")
        return None
    if len(other.shape) == 1:
        if tied and set(other.dims or ()) <= set(own or ()):
            along_it = other.dims == (own or ())[place : place + 1]
            return (_of_cells(other, others) or of_centers(what, axis, other.values())) if along_it else None
        return _by_size(what, axis, size, other)
    if not 2 <= len(other.shape) <= len(array.shape):
        return None
    declared = other.name in str(array.attributes.get("coordinates", "")).split() or len(other.name) > len(axis)
    along = _dims_of(dims, own, array, other)
    if along is None:
        cells = tuple(n for n, dim in zip(array.shape, dims, strict=True) if dim in ("x", "y", "z"))
        if sorted(cells) == sorted(other.shape) and (declared or other.path in meshes(others)):
            raise FileError(
                f"{what}, the coordinates of {axis}, has the shape {other.shape}, but the grid has {cells} cells: the "
                f"dims have another order (--dims). np.meshgrid needs indexing='ij' for arrays whose first dim is x."
            )
        return None
    if axis not in along:
        return None
    values = other.values()
    if not _is_separated(along.index(axis), values):
        if not declared and other.path not in meshes(others):
            return None  # x and y are also what states and observations are called
        raise FileError(
            f"{what}, the coordinates of {axis}, change along other axes than {axis} of {', '.join(along)}: either the "
            f"dims have other names (--dims), or the grid is not one of equal cells along straight axes. Interpolate "
            f"it to such a grid."
        )
    return of_centers(what, axis, np.moveaxis(values, along.index(axis), 0).reshape(size, -1)[:, 0])


def meshes(arrays: Sequence[StoredArray]) -> set[str]:
    """
    Paths of coordinates that are stored for each cell: those of `np.meshgrid`.

    They are called after different axes, of one shape, and each of them changes along one dim only, which is another
    for each: so states and observations called x and y are none.
    """
    found: dict[tuple[str, tuple[int, ...]], dict[str, StoredArray]] = {}
    for array in arrays:
        axis = next((axis for axis in ("x", "y", "z") if says_axis(array.name, axis)), None)
        if axis is not None and len(array.shape) >= 2 and array.dtype.kind in "fiu":
            found.setdefault((array.group, array.shape), {}).setdefault(axis, array)
    groups = [list(group.values()) for group in found.values() if len(group) > 1]
    return {array.path for group in groups if _are_mesh(group) for array in group}


def _are_mesh(arrays: Sequence[StoredArray]) -> bool:
    places: list[int] = []
    for array in arrays:
        try:
            values = array.values()
        except FileError:  # no coordinates, whatever it is
            return False
        changing = [place for place, n in enumerate(values.shape) if n > 1 and (np.diff(values, axis=place) != 0).any()]
        along = [place for place in changing if _is_separated(place, values)]
        if len(along) != 1:
            return False
        places += along
    return len(set(places)) == len(places)


def _by_size(what: str, axis: str, size: int, other: StoredArray) -> Bounds | None:
    """Of an array that is tied to an axis by its name only."""
    (count,) = other.shape
    if count == size + 1:
        return of_faces(what, axis, other.values())
    if count == size and not re.search(FACES, other.name, re.IGNORECASE):
        return of_centers(what, axis, other.values())
    if len(other.name) > len(axis) and count > 1:
        raise FileError(
            f"{what} has {count} entries, but {axis} has {size} cells: it neither has their centers nor their faces. "
            f"Store the coordinates of these cells, or none."
        )
    return None


def _dims_of(
    dims: Sequence[str], own: Sequence[str] | None, array: StoredArray, other: StoredArray
) -> tuple[str, ...] | None:
    """Which dims of an array another one has, in its order; by size where the file has no names."""
    if own is not None and other.dims is not None and set(other.dims) <= set(own):
        return tuple(dims[list(own).index(dim)] for dim in other.dims)
    axes = [i for i, dim in enumerate(dims) if dim in ("x", "y", "z")]
    return tuple(dims[i] for i in axes) if tuple(array.shape[i] for i in axes) == other.shape else None


def _is_separated(place: int, values: np.ndarray) -> bool:
    """Whether coordinates that are stored for each cell change along one axis only."""
    lines = np.moveaxis(values, place, 0).reshape(values.shape[place], -1)
    spacing = np.abs(np.diff(lines[:, 0])).max() if len(lines) > 1 else 0.0
    return bool(np.abs(lines - lines[:, :1]).max() <= UNEQUAL * spacing + _rounding(values))


def _of_cells(coordinate: StoredArray, others: Sequence[StoredArray]) -> Bounds | None:
    """By CF's bounds of cells, where the file has them."""
    named = coordinate.attributes.get(BOUNDS)
    cells = next((o for o in others if o.name == named and o.shape == (*coordinate.shape, 2)), None)
    if cells is None:
        return None
    values = cells.values()
    faces = np.append(values[:, 0], values[-1:, 1])
    if not np.allclose(values[1:, 0], values[:-1, 1], rtol=0, atol=UNEQUAL * np.abs(np.diff(faces)).max()):
        raise FileError(f"The cells of '{cells.path}' do not follow each other.")
    return of_faces(f"'{cells.path}'", coordinate.name, faces)


def of_centers(what: str, axis: str, stored: np.ndarray) -> Bounds | None:
    """
    The bounds of equal cells, of which the centers are known; `None` for one cell, whose length they do not tell.

    Raises:
        FileError: if they are not the centers of equal cells in growing order.
    """
    if len(stored) == 1:
        return None
    first, last = _ends(what, axis, stored, "centers")
    half = (last - first) / (len(stored) - 1) / 2
    return first - half, last + half


def of_faces(what: str, axis: str, stored: np.ndarray) -> Bounds:
    """The bounds of equal cells, of which the faces are known; errors as of `of_centers`."""
    return _ends(what, axis, stored, "faces")


def _ends(what: str, axis: str, stored: np.ndarray, of_cells: str) -> Bounds:
    values = stored.astype(np.float64)
    dx = (values[-1] - values[0]) / (len(values) - 1)
    off = np.abs(np.diff(values) - dx).max()
    if not (dx > 0 and off <= UNEQUAL * dx + 2 * _rounding(stored) < 0.1 * dx):
        raise FileError(
            f"The coordinates of {axis}, {what}, are not the {of_cells} of equal cells in growing order. Interpolate "
            f"to such cells, or turn the axis round."
        )
    return float(values[0]), float(values[-1])


def _rounding(stored: np.ndarray) -> float:
    return float(np.finfo(stored.dtype).eps * np.abs(stored).max()) if stored.dtype.kind == "f" else 0.0
