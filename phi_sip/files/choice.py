"""Which of the arrays of a file is the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import FileError
from .contents import TEXT, StoredArray
from .coordinates import meshes, says_axis
from .dims import AXES
from .extents import BOUNDS
from .stated import says_boundary

TIMES = ("t", "time")


def chosen(variable: str | None, arrays: Sequence[StoredArray]) -> StoredArray:
    """
    Returns the array with a path, or the only array that holds no coordinates.

    Args:
        variable: Path of the array; `None`: the only one.
        arrays: All arrays of the file.

    Raises:
        FileError: if there is no such array, or no path was given and there are several.
    """
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


def is_boundary(array: StoredArray) -> bool:
    """Tells whether an array states boundary conditions: it is a text or one number. A mask of cells does not."""
    return says_boundary(array.name) and (array.dtype.kind in TEXT or math.prod(array.shape) == 1)


def _is_coordinate(array: StoredArray) -> bool:
    if array.dims == (array.name,) or array.dtype.kind in TEXT or is_boundary(array):
        return True
    named = any(says_axis(array.name, axis) for axis in (*AXES, *TIMES)) and array.name != "T"  # a temperature
    return len(array.shape) == 1 and named


def _named_by(array: StoredArray) -> list[str]:
    """Returns the paths of the arrays that an array names as its coordinates, or as their bounds."""
    words = " ".join(str(array.attributes.get(key, "")) for key in ("coordinates", BOUNDS)).split()
    return [f"{array.group}/{word}".strip("/") for word in words]
