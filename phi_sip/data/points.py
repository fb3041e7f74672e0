"""Random point sources."""

from __future__ import annotations

import numpy as np
from phi.field import Field
from phi.geom import Box
from phiml.math import Shape

from ..errors import ParameterError
from .grids import dims_of, drawn_dims, grid_samples
from .samples import Samples
from .seeds import seed_or_global


def point_sources(
    *shape: Shape,
    bounds: Box | None = None,
    count: tuple[int, int] = (10, 10),
    amplitude: tuple[float, float] = (0.5, 2.0),
    seed: int | None = None,
) -> Field:
    """
    Returns random point sources, as of leaks or hot spots, each in a single cell of an empty periodic domain:

        u = Σ_i a_i δ(cell, c_i),   i = 1 … n,   n uniform in `count`,   a_i uniform in `amplitude`

    with cells c_i drawn with equal probability, all different. `Sparse` is the rule for such fields.

    NumPy draws the numbers, so that a seed gives the same fields on every framework.

    Args:
        *shape: Batch shapes and one spatial shape, as for `heat_rectangles`.
        bounds: Physical domain. Default: unit cells.
        count: Least and largest number of points, at most the number of cells.
        amplitude: Least and largest value of a point, in units of u. The least may be negative.
        seed: Seed ≥ 0. `None` draws it from NumPy's global state, which PhiFlow's `math.seed` sets.

    Returns:
        Periodic `CenteredGrid` with the batch dims of `shape`, in the current precision of PhiFlow.

    Raises:
        ParameterError: as `heat_rectangles`, if `count` is not 0 ≤ least ≤ largest ≤ cells, or `amplitude` is not two
            finite numbers with least ≤ largest.
        UnsupportedError: on a thread of `prefetched`, where `point_source_samples` must be used.
    """
    return point_source_samples(*shape, bounds=bounds, count=count, amplitude=amplitude)(seed_or_global(seed))


def point_source_samples(
    *shape: Shape,
    bounds: Box | None = None,
    count: tuple[int, int] = (10, 10),
    amplitude: tuple[float, float] = (0.5, 2.0),
) -> Samples[np.ndarray, Field]:
    """Returns the grids of `point_sources` as `Samples`. Arguments and errors are those of that function."""
    dims = dims_of("point_sources", *shape)
    sizes = drawn_dims(dims.spatial).sizes
    if not 0 <= count[0] <= count[1] <= dims.spatial.volume:
        raise ParameterError(
            f"point_sources: count = {count}, but it must be (least, largest) with 0 ≤ least ≤ largest ≤ "
            f"{dims.spatial.volume}, the number of cells."
        )
    if not (np.isfinite(amplitude).all() and amplitude[0] <= amplitude[1]):
        raise ParameterError(
            f"point_sources: amplitude = {amplitude}, but it must be (least, largest), finite, with least ≤ largest."
        )
    entries = dims.batch.volume
    return grid_samples("point_sources", dims, bounds, lambda rng: _points(rng, entries, sizes, count, amplitude))


def _points(
    rng: np.random.Generator,
    entries: int,
    sizes: tuple[int, ...],
    count: tuple[int, int],
    amplitude: tuple[float, float],
) -> np.ndarray:
    """Returns u per entry and cell."""
    least, largest = count
    numbers = rng.integers(least, largest + 1, entries)
    values = np.zeros((entries, int(np.prod(sizes))))
    for entry, number in enumerate(numbers):
        cells = rng.choice(values.shape[1], number, replace=False)
        values[entry, cells] = rng.uniform(*amplitude, number)
    return values.reshape(entries, *sizes)
