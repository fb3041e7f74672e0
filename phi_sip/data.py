"""Random states to train and test with."""

from __future__ import annotations

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import Shape, extrapolation

from .errors import ParameterError


def heat_rectangles(
    *shape: Shape, bounds: Box | None = None, count: tuple[int, int] = (4, 10), seed: int | None = None
) -> Field:
    """
    Random hot rectangles in a cold periodic domain: the initial states of the published heat-conduction chapter.

        u(x) = Σ_i s_i · |cell(x) ∩ R_i| / |cell|,   i = 1 … n,   n uniform in `count`,   s_i uniform in [0, 1)

    The rectangles R_i have half-widths uniform in [0, 10/64) of the domain and centers uniform in its inner 80 %, moved
    inwards where they would stick out. Edges are as soft as the cells: a cell holds the fraction that R_i covers.

    Drawn with NumPy and moved to the default backend of PhiFlow: the same for one seed on every framework.

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

    Source: Thuerey et al., Physics-based Deep Learning (arXiv 2109.05237), chapter "Learning to Invert Heat Conduction
    with Scale-invariant Updates".
    """
    dims = math.merge_shapes(*shape)
    _check(dims, count, seed)
    rng = np.random.default_rng(np.random.randint(2**31) if seed is None else seed)  # noqa: NPY002
    entries, least, largest = dims.batch.volume, *count
    rank = dims.spatial.rank
    heat = rng.random((entries, largest)) * (np.arange(largest) < rng.integers(least, largest + 1, (entries, 1)))
    centers = 0.5 + 0.8 * (rng.random((entries, largest, rank)) - 0.5)
    half_widths = rng.random((entries, largest, rank)) * (10 / 64)
    centers = np.clip(centers, half_widths, 1 - half_widths)
    covered = [
        _covered_fraction(centers[..., axis], half_widths[..., axis], cells)
        for axis, cells in enumerate(dims.spatial.sizes)
    ]
    axes = "xyz"[:rank]
    values = np.einsum(",".join(["br", *(f"br{axis}" for axis in axes)]) + f"->b{axes}", heat, *covered, optimize=True)
    values = values.astype(f"float{math.get_precision()}")
    tensor = math.reshaped_tensor(values, [dims.batch, *dims.spatial], convert=True)
    return CenteredGrid(tensor, extrapolation.PERIODIC, bounds=bounds, resolution=dims.spatial)


def _check(dims: Shape, count: tuple[int, int], seed: int | None) -> None:
    if not 1 <= dims.spatial.rank <= 3 or dims.non_batch.non_spatial:
        raise ParameterError(
            f"heat_rectangles got the shape {dims}. Give batch dims and one to three spatial dims, "
            f"e.g. batch(batch=128), spatial(x=64, y=64)."
        )
    if not 0 <= count[0] <= count[1]:
        raise ParameterError(
            f"heat_rectangles: count = {count}, but it must be (least, largest) with 0 ≤ least ≤ largest."
        )
    if seed is not None and seed < 0:
        raise ParameterError(f"heat_rectangles: seed = {seed}, but it must be ≥ 0.")


def _covered_fraction(centers: np.ndarray, half_widths: np.ndarray, cells: int) -> np.ndarray:
    """How much of each of `cells` equal cells of [0, 1] lies within center ± half-width; adds an axis for the cells."""
    edges = np.arange(cells)
    lower = (centers - half_widths)[..., None] * cells
    upper = (centers + half_widths)[..., None] * cells
    covered: np.ndarray = np.clip(np.minimum(upper, edges + 1) - np.maximum(lower, edges), 0, 1)
    return covered
