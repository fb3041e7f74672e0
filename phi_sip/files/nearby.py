"""What a file says about an array: in the attributes of the array, in other arrays, and in the groups around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .choice import is_boundary
from .contents import TEXT, StoredArray
from .dims import CHANNEL
from .stated import stated

Attributes = Mapping[str, Mapping[str, Any]]
"""Attributes of the groups of a file, by their paths; that of the whole file is ''."""
PLACES = ("coord", "scale", "dimension", "grid", "mesh")  # beginnings of the names of groups that hold coordinates


def nearest(array: StoredArray, arrays: Sequence[StoredArray]) -> list[StoredArray]:
    """
    Returns the arrays in the group of an array, in the groups around it, and in groups of coordinates in these. Of
    arrays with the same name the nearest one is returned.
    """
    groups = _around(array.group)
    found: dict[str, StoredArray] = {}
    for other in arrays:
        outer, _, last = other.group.rpartition("/")
        within = other.group in groups or (outer in groups and last.lower().startswith(PLACES))
        nearer = other.name not in found or len(other.group) > len(found[other.name].group)
        if within and nearer:
            found[other.name] = other
    return list(found.values())


def inherited(group: str, attributes: Attributes) -> dict[str, Any]:
    """Returns the attributes of a group and of those around it; the nearest one counts."""
    return {key: value for outer in _around(group) for key, value in attributes.get(outer, {}).items()}


def boundary_near(array: StoredArray, attributes: Attributes, others: Sequence[StoredArray]) -> Any:
    """
    Returns the boundary that is stated nearest to an array: by itself, by other arrays, or by the groups around it;
    `None` if none is stated.
    """
    by_arrays = {other.name: _said_by(other) for other in others if other.path != array.path and is_boundary(other)}
    around = _around(array.group)
    groups = [attributes.get(group, {}) for group in reversed(around)]
    parts = {group: group.rpartition("/") for group in attributes if group}
    by_groups = {name: f"group {group}" for group, (outer, _, name) in parts.items() if outer in around}
    places = (array.attributes, by_arrays, *groups, by_groups)
    return next((said for about in places if (said := stated(about)) is not None), None)


def components_near(
    array: StoredArray, names: Sequence[str], others: Sequence[StoredArray]
) -> tuple[list[str] | None, str | None]:
    """
    Returns the names of the components of an array.

    Args:
        array: The array.
        names: Names of its dims, as the user or the file gives them.
        others: Arrays among which the one with the names is.

    Returns:
        The names, `None` if there are none; and what the file has in place of names, `None` if it has nothing else.
    """
    if CHANNEL not in names:
        return None, None
    name = CHANNEL if array.dims is None else array.dims[list(names).index(CHANNEL)]
    for other in others:
        if other.name == name and other.path != array.path and (other.dtype.kind in TEXT or len(other.shape) <= 1):
            words = other.words()
            return words, None if words is not None else f"'{other.path}', an array of type {other.dtype}"
    return None, None


def _around(group: str) -> list[str]:
    """Returns the paths of a group and of those that it is in; the whole file comes first."""
    parts = group.split("/") if group else []
    return ["/".join(parts[:i]) for i in range(len(parts) + 1)]


def _said_by(array: StoredArray) -> Any:
    if array.dtype.kind not in TEXT:
        return array.values()
    words = array.words()
    return words[0] if words is not None and len(words) == 1 else words or f"an array of type {array.dtype}"
