"""What files say about boundary conditions, whatever they call them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .boundaries import word_of_value

SAYS = re.compile(  # also for one axis: `x_boundary`, `bc_y`
    r"(?:(?P<before>[xyz])[ _-]*)?(?:boundar(?:y|ies)|bcs?)"
    r"(?:[ _-]*(?:conditions?|types?))?(?:[ _-]*(?P<after>[xyz]))?",
    re.IGNORECASE,
)


def says_boundary(name: str) -> bool:
    """Tells whether a name is that of boundary conditions: `boundary`, `Boundary`, `boundary_conditions`, `bc_x`, …"""
    return SAYS.fullmatch(name) is not None


def stated(about: Mapping[str, Any]) -> Any:
    """
    Returns the boundary that attributes state: a word, a number, or whatever else they hold; `None` if they state none.

    Args:
        about: Attributes by name. One whose name contains an axis holds the boundary of that axis.
    """
    found: dict[str, Any] = {}
    for name, value in about.items():
        match = SAYS.fullmatch(name)
        plain = _plain(value)
        if match and plain is not None and plain != "":
            axis = (match["before"] or match["after"] or "").lower()
            found[axis] = plain if found.get(axis, plain) == plain else (found[axis], plain)
    if set(found) <= {""}:
        return found.get("")
    return ",".join(f"{axis}={value}" if axis else str(value) for axis, value in found.items())


def _plain(value: Any) -> Any:
    """Returns a word as it is, a number as its word, and anything else as it is."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if value is None or isinstance(value, str):
        return value
    found = value.tolist() if isinstance(value, np.ndarray) else value
    return found if isinstance(found, (list, tuple, dict)) else word_of_value(found) or found
