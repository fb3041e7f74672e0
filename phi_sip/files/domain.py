"""From where to where the domain of a grid goes, by what the file and the user say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import FileError, ParameterError

EQUAL = 1e-3  # largest relative difference between a length of the user and the same length in the file
Size = Mapping[str, float] | float
Bounds = tuple[float, float]


def check_bounds(axes: Sequence[str], lower: Sequence[float | None], upper: Sequence[float | None]) -> None:
    """
    Checks that each axis has two finite bounds in growing order, or none.

    Raises:
        FileError: if it has not.
    """
    if [len(lower), len(upper)] != [len(axes)] * 2 or not all(
        (low is None and high is None)
        or (low is not None and high is not None and np.isfinite([low, high]).all() and low < high)
        for low, high in zip(lower, upper, strict=False)
    ):
        raise FileError(f"The bounds {lower} to {upper} do not fit the axes {', '.join(axes)}.")


def completed_bounds(axes: Sequence[str], known: Mapping[str, Bounds], size: Size | None) -> dict[str, Bounds]:
    """
    Returns the bounds that the file knows, and 0 to `size` for axes whose bounds it does not know.

    Raises:
        ParameterError: if `size` is no length along these axes, or contradicts the file.
    """
    lengths = _lengths(axes, size)
    for axis, (low, high) in known.items():
        if axis in lengths and abs(lengths[axis] - (high - low)) > EQUAL * (high - low):
            raise ParameterError(
                f"size of {axis} = {lengths[axis]:g}, but the file says {high - low:g}. The size is the length of "
                f"the whole domain, not of a cell. Leave it out, or correct the file."
            )
    return {**{axis: (0.0, length) for axis, length in lengths.items()}, **known}


def sides_of(
    bounds: Mapping[str, Bounds | None], axes: Iterable[str]
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Returns the lower and the upper bounds of axes; `None` for an axis whose bounds are unknown."""
    pairs = [bounds.get(axis) or (None, None) for axis in axes]
    return tuple(low for low, _ in pairs), tuple(high for _, high in pairs)


def _lengths(axes: Sequence[str], size: Size | None) -> dict[str, float]:
    each = {} if size is None else dict.fromkeys(axes, size)
    given: Mapping[Any, Any] = size if isinstance(size, Mapping) else each
    for axis, length in given.items():
        positive = isinstance(length, (int, float, np.number)) and np.isfinite(length) and length > 0
        if axis not in axes or not positive or isinstance(length, bool):
            raise ParameterError(
                f"size of {axis} = {length!r}, but it must be the length > 0 of the domain along one of the axes "
                f"{', '.join(axes)}."
            )
    return {axis: float(length) for axis, length in given.items()}
