"""The grid of a file, whose dims have other names in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ParameterError
from .arrays import GridArray
from .boundaries import fitting
from .dims import AXES, axes_in
from .domain import Bounds, sides_of
from .required import BOUNDARY


def named(
    values: np.ndarray,
    dims: tuple[str, ...],
    bounds: Mapping[str, Bounds | None],
    renamed: Mapping[str, str],
    *,
    boundary: Any = None,
    components: Iterable[str] | None = None,
    units: Mapping[str, str] | None = None,
    unread: Mapping[str, str] | None = None,
) -> GridArray:
    """
    Returns the grid of a file.

    Args:
        values: Array in the order of `dims`.
        dims: See `GridArray`.
        bounds: Lower and upper bound by axis.
        renamed: Dims by their names in the file. `boundary` and `components` use the names in the file.
        boundary: Boundary conditions as the file says them; `None` or '' if it says nothing.
        components: Names of the components.
        units: Units by axis.
        unread: See `GridArray`; about components.
    """
    axes = {own: dim for own, dim in renamed.items() if dim in AXES}
    try:
        words = fitting(boundary, axes) if isinstance(boundary, str) and boundary else None
    except ParameterError:
        words = None
    if words is None and boundary not in (None, ""):
        unread = {**(unread or {}), BOUNDARY: f"'{boundary}'"}
    names = None if components is None else tuple(axes.get(name, name) for name in components)
    return GridArray(values, dims, *sides_of(bounds, axes_in(dims)), words, units or {}, names, unread or {})
