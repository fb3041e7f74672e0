"""Grids from plain arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import Shape, extrapolation

from ..errors import ParameterError
from ..states import order
from .prefetch import refuse_on_prefetching_thread
from .samples import Samples
from .seeds import generator


def dims_of(owner: str, *shape: Shape) -> Shape:
    """
    Returns the merged shape of batch dims and one to three spatial dims.

    Raises:
        ParameterError: if there is no spatial dim, there are more, or a dim is of another kind.
    """
    dims = math.merge_shapes(*shape)
    if not 1 <= dims.spatial.rank <= 3 or dims.non_batch.non_spatial:
        raise ParameterError(
            f"{owner} got the shape {dims}. Give batch dims and one to three spatial dims, "
            f"e.g. batch(batch=128), spatial(x=64, y=64)."
        )
    return dims


def drawn_dims(dims: Shape) -> Shape:
    """Returns dims in the order of random arrays, that of their names. A seed gives the same field in any order."""
    return dims.only(order.canonical(dims), reorder=True)


def grid_samples(
    owner: str, dims: Shape, bounds: Box | None, values: Callable[[np.random.Generator], np.ndarray]
) -> Samples[np.ndarray, Field]:
    """Returns samples of periodic grids. `values` draws float64 arrays (batch, cells…) in the order of `drawn_dims`."""

    def draw(seed: int) -> np.ndarray:
        return values(generator(owner, seed))

    def finish(drawn: np.ndarray) -> Field:
        refuse_on_prefetching_thread(owner)
        return periodic_grid(drawn, dims, bounds)

    return Samples(draw, finish)


def periodic_grid(values: np.ndarray, dims: Shape, bounds: Box | None) -> Field:
    """
    Returns a periodic grid from an array (batch, cells…) in the order of `drawn_dims`, on the default backend and in
    the current precision.
    """
    values = values.astype(f"float{math.get_precision()}", copy=False)
    drawn = drawn_dims(dims)
    tensor = math.reshaped_tensor(values, [drawn.batch, *drawn.spatial], convert=False)
    tensor = math.convert(order.in_order_of(tensor, dims))
    return CenteredGrid(tensor, extrapolation.PERIODIC, bounds=bounds, resolution=dims.spatial)
