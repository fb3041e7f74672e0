"""From where to where the axes of an array go, by the coordinates that its file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FileError
from .cells import changes_along, of_centers, of_faces, of_pairs
from .contents import StoredArray
from .coordinates import meshes, says_axis, says_faces
from .dims import AXES
from .domain import Bounds

CONTRADICTION = 1e-2  # largest difference of two coordinates of one axis, relative to the length of a cell
BOUNDS = "bounds"  # CF's attribute of a coordinate that names the array with the two faces of each cell


@dataclass(frozen=True)
class Extent:
    """
    From where to where an axis goes.

    Attributes:
        bounds: The outer faces of its first and last cell.
        units: Units of the bounds; `None` if they are unknown.
    """

    bounds: Bounds
    units: str | None = None


@dataclass(frozen=True)
class Axis:
    """
    An axis of an array in a file.

    Attributes:
        place: Its place among the dims of the array.
        dims: Names of the dims of the array, as the user or the file gives them.
        own: Names of the dims in the file; `None` where the file has none.
        array: The array.
        others: The arrays of the file among which the coordinates are.
    """

    place: int
    dims: Sequence[str]
    own: Sequence[str] | None
    array: StoredArray
    others: Sequence[StoredArray]

    @property
    def name(self) -> str:
        """Its name."""
        return self.dims[self.place]

    @property
    def size(self) -> int:
        """Number of its cells."""
        return self.array.shape[self.place]

    def extent(self) -> Extent | None:
        """
        Returns the extent of the axis; `None` if the file does not tell it.

        Raises:
            FileError: if the coordinates are not those of equal cells in growing order, or contradict each other.
        """
        names = {self.name} if self.own is None else {self.own[self.place], *({self.name} - set(self.own))}
        found: dict[str, Extent] = {}
        for other in self.others:
            if other.path != self.array.path and any(says_axis(other.name, name) for name in names):
                bounds = self._bounds(other)
                if bounds is not None:
                    units = other.attributes.get("units")
                    found[other.path] = Extent(bounds, units if isinstance(units, str) else None)
        return self._agreed(found)

    def _agreed(self, found: Mapping[str, Extent]) -> Extent | None:
        if not found:
            return None
        (path, first), *rest = found.items()
        low, high = first.bounds
        for other_path, extent in rest:
            other = extent.bounds
            if max(abs(low - other[0]), abs(high - other[1])) > CONTRADICTION * (high - low) / self.size:
                raise FileError(
                    f"'{path}' and '{other_path}' contradict each other: {self.name} goes from {low:g} to {high:g} by "
                    f"the one, and from {other[0]:g} to {other[1]:g} by the other. Remove the wrong one from the file."
                )
        return first

    def _bounds(self, other: StoredArray) -> Bounds | None:
        """Returns the bounds that another array tells; `None` if it holds no coordinates of this axis."""
        tied = other.dims is not None and self.own is not None
        along_it = tied and other.dims == tuple(self.own or ())[self.place : self.place + 1]
        if other.dtype.kind not in "fiu":
            if along_it:
                raise FileError(
                    f"The coordinates of {self.name}, '{other.path}', are of type {other.dtype}, not numbers."
                )
            return None
        if len(other.shape) != 1:
            return self._of_mesh(other) if 2 <= len(other.shape) <= len(self.array.shape) else None
        if tied and set(other.dims or ()) <= set(self.own or ()):
            return self._of_dim(other) if along_it else None
        return self._of_size(other)

    def _of_dim(self, coordinate: StoredArray) -> Bounds | None:
        """Returns the bounds by coordinates that are tied to the axis, or by CF's bounds of cells if there are some."""
        named = coordinate.attributes.get(BOUNDS)
        pairs = next((o for o in self.others if o.name == named and o.shape == (*coordinate.shape, 2)), None)
        if pairs is None:
            return of_centers(f"'{coordinate.path}'", self.name, coordinate.values())
        return of_pairs(f"'{pairs.path}'", coordinate.name, pairs.values())

    def _of_size(self, other: StoredArray) -> Bounds | None:
        """Returns the bounds by an array that only its name and its size tie to the axis."""
        what = f"'{other.path}'"
        (count,) = other.shape
        if count == self.size + 1:
            return of_faces(what, self.name, other.values())
        if count == self.size and not says_faces(other.name):
            return of_centers(what, self.name, other.values())
        if len(other.name) > len(self.name) and count > 1:
            raise FileError(
                f"{what} has {count} entries, but {self.name} has {self.size} cells: it neither has their centers nor "
                f"their faces. Store the coordinates of these cells, or none."
            )
        return None

    def _of_mesh(self, other: StoredArray) -> Bounds | None:
        """Returns the bounds by coordinates that are stored for each cell."""
        what = f"'{other.path}', the coordinates of {self.name},"
        declared = other.name in str(self.array.attributes.get("coordinates", "")).split()
        declared = declared or len(other.name) > len(self.name)
        along = self._dims_of(other)
        if along is None:
            cells = tuple(n for n, dim in zip(self.array.shape, self.dims, strict=True) if dim in AXES)
            if sorted(cells) == sorted(other.shape) and (declared or other.path in meshes(self.others)):
                raise FileError(
                    f"{what} has the shape {other.shape}, but the grid has {cells} cells: the dims have another order "
                    f"(--dims). np.meshgrid needs indexing='ij' for arrays whose first dim is x."
                )
            return None
        if self.name not in along:
            return None
        values = other.values()
        place = along.index(self.name)
        if changes_along(place, values):
            centers = np.moveaxis(values, place, 0).reshape(self.size, -1)[:, 0]
            return of_centers(f"'{other.path}'", self.name, centers)
        if not declared and other.path not in meshes(self.others):
            return None  # observations and states are called x and y too
        raise FileError(
            f"{what} change along other axes than {self.name} of {', '.join(along)}: either the dims have other names "
            f"(--dims), or the grid is not one of equal cells along straight axes. Interpolate it to such a grid."
        )

    def _dims_of(self, other: StoredArray) -> tuple[str, ...] | None:
        """Returns which dims of the array another array has, in its order; where names are missing, by their sizes."""
        if self.own is not None and other.dims is not None and set(other.dims) <= set(self.own):
            return tuple(self.dims[list(self.own).index(dim)] for dim in other.dims)
        axes = [i for i, dim in enumerate(self.dims) if dim in AXES]
        fits = tuple(self.array.shape[i] for i in axes) == other.shape
        return tuple(self.dims[i] for i in axes) if fits else None
