"""The grid of a file that holds arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import FileError
from .arrays import GridArray
from .choice import chosen
from .contents import StoredArray
from .dims import AXES, BATCH, renamed
from .extents import Axis
from .named import named
from .nearby import Attributes, boundary_near, components_near, inherited, nearest
from .required import COMPONENTS

COORDINATES = "axes_with_coordinates"  # attribute of our files that tells whether coordinates got lost


def grid_of(
    arrays: Sequence[StoredArray],
    attributes: Attributes,
    variable: str | None,
    dims: Sequence[str] | None,
    usual: Callable[[int], Sequence[str]] | None = None,
) -> GridArray:
    """
    Returns the grid of an array in a file.

    Args:
        arrays: All arrays of the file.
        attributes: Attributes of its groups, by their paths; that of the whole file is ''.
        variable: Path of the array; `None`: the only one that holds no coordinates.
        dims: Names of the dims of the array, in place of those in the file.
        usual: Returns the names of the dims of an array from its rank, where neither user nor file gives them; `None`:
            the user must give them.

    Raises:
        FileError: if there is no such array, it is no grid, or what the file says about it cannot be used.
    """
    array = chosen(variable, arrays)
    names = _names(array, dims, usual)
    others = nearest(array, arrays)
    axes = [Axis(place, names, array.dims, array, others) for place, name in enumerate(names) if name in AXES]
    extents = {axis.name: found for axis in axes if (found := axis.extent()) is not None}
    own = array.dims or names
    _check_complete(inherited(array.group, attributes), names, own, others)
    components, unread = components_near(array, names, others)
    return named(
        array.values(names.index(BATCH) if BATCH in names else None),
        names,
        {axis: extent.bounds for axis, extent in extents.items()},
        dict(zip(own, names, strict=True)),
        boundary=boundary_near(array, attributes, others),
        components=components,
        unread={} if unread is None else {COMPONENTS: unread},
        units={axis: extent.units for axis, extent in extents.items() if extent.units is not None},
    )


def _names(
    array: StoredArray, dims: Sequence[str] | None, usual: Callable[[int], Sequence[str]] | None
) -> tuple[str, ...]:
    """Returns the names of the dims of an array."""
    if array.dims is not None:
        return renamed(array.dims, dims)
    if dims is None and usual is None:
        raise FileError(
            f"The dims of '{array.path}', {' × '.join(map(str, array.shape))}, have no names in the file. Name them in "
            f"order, e.g. --dims batch,x,y."
        )
    names = tuple(dims or (usual(len(array.shape)) if usual else ()))
    if len(names) != len(array.shape):
        raise FileError(f"Its shape is {array.shape}, which cannot be called {', '.join(names)}.")
    return names


def _check_complete(
    about: Mapping[str, Any], names: Sequence[str], own: Sequence[str], others: Sequence[StoredArray]
) -> None:
    """Refuses a file of ours that has lost the coordinates of an axis."""
    held = {other.name for other in others}
    for name, axis in zip(names, own, strict=True):
        if name in AXES and axis in str(about.get(COORDINATES, "")).split() and axis not in held:
            raise FileError(
                f"The coordinates of {axis} are missing or damaged: '{COORDINATES}' says that there are some."
            )
