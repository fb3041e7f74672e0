"""Random hot rectangles in a cold domain."""

from __future__ import annotations

import numpy as np
from phi.field import Field
from phi.geom import Box
from phiml.math import Shape

from ..errors import ParameterError
from .grids import dims_of, drawn_dims, grid_samples
from .samples import Samples
from .seeds import seed_or_global


def heat_rectangles(
    *shape: Shape, bounds: Box | None = None, count: tuple[int, int] = (4, 10), seed: int | None = None
) -> Field:
    """
    Returns random hot rectangles in a cold periodic domain, as in the published heat-conduction chapter:

        u(x) = Σ_i s_i · |cell(x) ∩ R_i| / |cell|,   i = 1 … n,   n uniform in `count`,   s_i uniform in [0, 1)

    The rectangles R_i have half-widths uniform in [0, 10/64) of the domain and centers uniform in its inner 80 %; those
    that would stick out are moved inwards. A cell holds the fraction of it that R_i covers.

    NumPy draws the numbers, so that a seed gives the same fields on every framework.

    Args:
        *shape: Batch shapes and one spatial shape, e.g. `batch(batch=128), spatial(x=64, y=64)`; 1-D to 3-D.
        bounds: Physical domain. Default: unit cells.
        count: Least and largest number of rectangles.
        seed: Seed ≥ 0. `None` draws it from NumPy's global state, which PhiFlow's `math.seed` sets.

    Returns:
        Periodic `CenteredGrid` with the batch dims of `shape`, in the current precision of PhiFlow.

    Raises:
        ParameterError: if there is no spatial shape, a dim is of another kind, `count` is not 0 ≤ least ≤ largest,
            or `seed` is negative.
        UnsupportedError: on a thread of `prefetched`, where `heat_rectangle_samples` must be used.

    Source: Thuerey et al., Physics-based Deep Learning (arXiv 2109.05237), chapter "Learning to Invert Heat Conduction
    with Scale-invariant Updates".
    """
    return heat_rectangle_samples(*shape, bounds=bounds, count=count)(seed_or_global(seed))


def heat_rectangle_samples(
    *shape: Shape, bounds: Box | None = None, count: tuple[int, int] = (4, 10)
) -> Samples[np.ndarray, Field]:
    """
    Returns the grids of `heat_rectangles` as `Samples`. Arguments and errors are those of that function.

    Example:
        for x in prefetched(heat_rectangle_samples(batch(batch=128), spatial(x=64, y=64)), range(1000)):
            ...
    """
    dims = dims_of("heat_rectangles", *shape)
    if not 0 <= count[0] <= count[1]:
        raise ParameterError(
            f"heat_rectangles: count = {count}, but it must be (least, largest) with 0 ≤ least ≤ largest."
        )
    entries, sizes = dims.batch.volume, drawn_dims(dims.spatial).sizes
    return grid_samples("heat_rectangles", dims, bounds, lambda rng: _rectangles(rng, entries, sizes, count))


def _rectangles(rng: np.random.Generator, entries: int, sizes: tuple[int, ...], count: tuple[int, int]) -> np.ndarray:
    """Returns u per entry and cell."""
    least, largest = count
    rank = len(sizes)
    heat = rng.random((entries, largest)) * (np.arange(largest) < rng.integers(least, largest + 1, (entries, 1)))
    centers = 0.5 + 0.8 * (rng.random((entries, largest, rank)) - 0.5)
    half_widths = rng.random((entries, largest, rank)) * (10 / 64)
    centers = np.clip(centers, half_widths, 1 - half_widths)
    covered = [_covered_fraction(centers[..., axis], half_widths[..., axis], cells) for axis, cells in enumerate(sizes)]
    axes = "xyz"[:rank]
    equation = ",".join(["br", *(f"br{axis}" for axis in axes)]) + f"->b{axes}"
    values: np.ndarray = np.einsum(equation, heat, *covered, optimize=True)
    return values


def _covered_fraction(centers: np.ndarray, half_widths: np.ndarray, cells: int) -> np.ndarray:
    """Returns the fractions of equal cells of [0, 1] within center ± half-width; adds an axis for the cells."""
    edges = np.arange(cells)
    lower = (centers - half_widths)[..., None] * cells
    upper = (centers + half_widths)[..., None] * cells
    covered: np.ndarray = np.clip(np.minimum(upper, edges + 1) - np.maximum(lower, edges), 0, 1)
    return covered
