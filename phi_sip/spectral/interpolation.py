"""Values of a grid at points, with what its boundary says at the sides."""

from __future__ import annotations

from itertools import product

from phi.field import Field
from phiml import math
from phiml.math import Tensor, channel

from ..errors import BoundaryError
from ..states import order
from .sides import Fixed, Insulated, Periodic, Side, sides_of


def at_points(field: Field, points: Tensor) -> Tensor:
    """
    Interpolates linearly between the centers of cells. Half a cell from a side, a periodic grid goes on with the other
    end, one that is fixed takes its value at the side, others keep the value of the outermost cell.

    Args:
        field: Values on a centered grid.
        points: Positions inside of the domain, with a channel dim `vector` that names the axes in alphabetical order.

    Returns:
        Values with the other dims of `points`.
    """
    axes = order.by_name(field.resolution.names)
    values = field.values
    for axis in axes:
        values = _with_ghosts(values, axis, *_sides(field, axis))
    weights, places = [], []
    for axis in axes:
        cell = float(field.dx.vector[axis])
        place = (points.vector[axis] - float(field.bounds.lower.vector[axis])) / cell + 0.5  # of ghosts, from 0
        lower = math.clip(math.floor(place), 0, field.resolution.get_size(axis))
        weights.append((1 - (place - lower), place - lower))
        places.append((math.to_int64(lower), math.to_int64(lower) + 1))
    found = 0.0
    for corner in product((0, 1), repeat=len(axes)):
        at = math.stack([places[i][end] for i, end in enumerate(corner)], channel(vector=axes))
        weight = 1.0
        for i, end in enumerate(corner):
            weight = weight * weights[i][end]
        found = found + math.to_float(weight) * math.gather(values, at)
    return found


def _sides(field: Field, axis: str) -> tuple[Side, Side]:
    try:
        return sides_of(field.boundary, axis)
    except BoundaryError:  # nothing is known beyond it
        return Insulated(), Insulated()


def _with_ghosts(values: Tensor, axis: str, lower: Side, upper: Side) -> Tensor:
    """Returns values with one cell more at both ends of an axis."""
    first, last = values[{axis: slice(0, 1)}], values[{axis: slice(-1, None)}]
    if isinstance(lower, Periodic):
        return math.concat([last, values, first], axis)
    return math.concat([_ghost(first, lower), values, _ghost(last, upper)], axis)


def _ghost(outermost: Tensor, side: Side) -> Tensor:
    """Returns the cell beyond a side: its mean with the outermost cell is the value at the side."""
    return 2 * side.value - outermost if isinstance(side, Fixed) else outermost
