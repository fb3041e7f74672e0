"""
The arrays of a file that hold coordinates, found by their names and values.

cf-xarray finds coordinates that are tied to dims by names or CF attributes. Many files, such as those of PDEBench, have
arrays without names of dims, so that only the names and sizes of the arrays tell which ones are coordinates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..errors import FileError
from .cells import changes_along
from .contents import StoredArray
from .dims import AXES

FACES = r"(?:edges?|faces?|bnds|bounds)"
WORD = rf"(?:(?:coord(?:inate)?s?|cent(?:er|re)s?|axis|grid|mesh|points?|pos(?:ition)?s?)|{FACES})"
BETWEEN = r"[\s_.-]*"


def says_axis(name: str, axis: str) -> bool:
    """Tells whether a name is that of coordinates of an axis: `x`, `X`, `x-coordinate`, `coord_x`, `x_faces`, …"""
    pattern = rf"(?:{WORD}{BETWEEN})?{re.escape(axis)}(?:{BETWEEN}{WORD}|c|s)?"
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


def says_faces(name: str) -> bool:
    """Tells whether a name is that of coordinates of faces: `x_faces`, `edges_y`, …"""
    return re.search(FACES, name, re.IGNORECASE) is not None


def meshes(arrays: Sequence[StoredArray]) -> set[str]:
    """
    Returns the paths of coordinates that are stored for each cell, as `np.meshgrid` makes them.

    Such arrays have the names of different axes and the same shape. Each of them changes along one dim only, and no two
    along the same dim. Observations and states with the names x and y are therefore no coordinates.
    """
    found: dict[tuple[str, tuple[int, ...]], dict[str, StoredArray]] = {}
    for array in arrays:
        axis = next((axis for axis in AXES if says_axis(array.name, axis)), None)
        if axis is not None and len(array.shape) >= 2 and array.dtype.kind in "fiu":
            found.setdefault((array.group, array.shape), {}).setdefault(axis, array)
    groups = [list(group.values()) for group in found.values() if len(group) > 1]
    return {array.path for group in groups if _are_mesh(group) for array in group}


def _are_mesh(arrays: Sequence[StoredArray]) -> bool:
    places: list[int] = []
    for array in arrays:
        try:
            values = array.values()
        except FileError:  # coordinates could be read
            return False
        changing = [place for place, n in enumerate(values.shape) if n > 1 and (np.diff(values, axis=place) != 0).any()]
        along = [place for place in changing if changes_along(place, values)]
        if len(along) != 1:
            return False
        places += along
    return len(set(places)) == len(places)
