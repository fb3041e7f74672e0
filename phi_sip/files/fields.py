"""The step from plain arrays to fields of PhiFlow and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import batch, channel, spatial

from ..errors import ParameterError
from ..states import trees
from .boundaries import boundary_of
from .dims import BATCH, CHANNEL, axes_in
from .domain import Bounds

PRECISIONS = (32, 64)


def check_precision(precision: int) -> None:
    """
    Checks the number of bits of floating-point numbers.

    Raises:
        ParameterError: if it is neither 32 nor 64.
    """
    if precision not in PRECISIONS:
        raise ParameterError(f"precision = {precision}, but it must be 32 or 64.")


def centered_grid(
    values: np.ndarray,
    dims: Sequence[str],
    bounds: Mapping[str, Bounds],
    boundary: str,
    components: Sequence[str] | None,
    precision: int,
) -> Field:
    """Returns a centered grid on the default backend. `dims` are those of `values`; `bounds` are given by axis."""
    sizes = dict(zip(dims, values.shape, strict=True))
    makers = {
        BATCH: lambda: batch(batch=sizes[BATCH]),
        CHANNEL: lambda: channel(vector=list(components) if components else sizes[CHANNEL]),
    }
    axes = sorted(axes_in(dims))  # PhiFlow combines boxes only if their axes have one order; the values may have any
    with math.precision(precision):
        shapes = (makers[dim]() if dim in makers else spatial(**{dim: sizes[dim]}) for dim in dims)
        tensor = math.tensor(values.astype(f"float{precision}"), *shapes)
        box = Box(**{axis: bounds[axis] for axis in axes})
        resolution = spatial(**{axis: sizes[axis] for axis in axes})
        return CenteredGrid(tensor, boundary_of(boundary), bounds=box, resolution=resolution)


def arrays_of(field: Field) -> tuple[np.ndarray, tuple[str, ...], dict[str, Bounds], tuple[str, ...] | None]:
    """Returns the values of a centered grid, their dims, the bounds by axis, and the names of the components."""
    with math.precision(trees.precision_of(field)):  # PhiML rounds to the current precision
        values = math.expand(field.values, field.resolution)
        shape = values.shape
        axes = shape.spatial.names
        lower, upper = field.bounds.lower, field.bounds.upper
        bounds = {axis: (float(lower.vector[axis]), float(upper.vector[axis])) for axis in axes}
        order = [*([shape.batch] if shape.batch else []), *axes, *shape.channel.names]
        dims = (*([BATCH] if shape.batch else []), *axes, *([CHANNEL] if shape.channel else []))
        items = shape.channel.item_names[0] if shape.channel.rank == 1 else None
        return values.numpy(order), dims, bounds, tuple(items) if items else None
