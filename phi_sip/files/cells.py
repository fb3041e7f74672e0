"""The bounds of equal cells, computed from the coordinates of their centers or faces."""

from __future__ import annotations

import numpy as np

from ..errors import FileError
from .domain import Bounds

UNEQUAL = 1e-4  # largest error of a coordinate, relative to the length of a cell


def of_centers(what: str, axis: str, stored: np.ndarray) -> Bounds | None:
    """
    Returns the bounds of equal cells whose centers are known; `None` for one cell, since its center does not tell its
    length.

    Args:
        what: Name of the coordinates in messages.
        axis: Name of the axis in messages.
        stored: The coordinates.

    Raises:
        FileError: if they are not the centers of equal cells in growing order.
    """
    if len(stored) == 1:
        return None
    first, last = _ends(what, axis, stored, "centers")
    half = (last - first) / (len(stored) - 1) / 2
    return first - half, last + half


def of_faces(what: str, axis: str, stored: np.ndarray) -> Bounds:
    """Returns the bounds of equal cells whose faces are known. Arguments and errors are those of `of_centers`."""
    return _ends(what, axis, stored, "faces")


def of_pairs(what: str, axis: str, stored: np.ndarray) -> Bounds:
    """
    Returns the bounds of equal cells of which each has its two faces in a row of `stored`.

    Raises:
        FileError: as `of_centers`, or if a cell does not begin where the one before ends.
    """
    faces = np.append(stored[:, 0], stored[-1:, 1])
    if not np.allclose(stored[1:, 0], stored[:-1, 1], rtol=0, atol=UNEQUAL * np.abs(np.diff(faces)).max()):
        raise FileError(f"The cells of {what} do not follow each other.")
    return of_faces(what, axis, faces)


def changes_along(place: int, values: np.ndarray) -> bool:
    """Tells whether coordinates that are stored for each cell change along no other dim than that at `place`."""
    lines = np.moveaxis(values, place, 0).reshape(values.shape[place], -1)
    spacing = np.abs(np.diff(lines[:, 0])).max() if len(lines) > 1 else 0.0
    return bool(np.abs(lines - lines[:, :1]).max() <= UNEQUAL * spacing + _rounding(values))


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
