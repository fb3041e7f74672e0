"""Random states to train and test with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import Shape, batch, extrapolation

from .errors import ParameterError, UnsupportedError
from .spectral import SpectralBasis


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
    _check("heat_rectangles", dims, seed)
    if not 0 <= count[0] <= count[1]:
        raise ParameterError(
            f"heat_rectangles: count = {count}, but it must be (least, largest) with 0 ≤ least ≤ largest."
        )
    rng = _generator(seed)
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
    return _grid(values, dims, bounds)


def _grid(values: np.ndarray, dims: Shape, bounds: Box | None) -> Field:
    """A periodic grid from an array (batch, cells…), on the default backend and in the current precision."""
    values = values.astype(f"float{math.get_precision()}")
    tensor = math.reshaped_tensor(values, [dims.batch, *dims.spatial], convert=True)
    return CenteredGrid(tensor, extrapolation.PERIODIC, bounds=bounds, resolution=dims.spatial)


def _generator(seed: int | None) -> np.random.Generator:
    return np.random.default_rng(np.random.randint(2**31) if seed is None else seed)  # noqa: NPY002


def _check(owner: str, dims: Shape, seed: int | None) -> None:
    if not 1 <= dims.spatial.rank <= 3 or dims.non_batch.non_spatial:
        raise ParameterError(
            f"{owner} got the shape {dims}. Give batch dims and one to three spatial dims, "
            f"e.g. batch(batch=128), spatial(x=64, y=64)."
        )
    if seed is not None and seed < 0:
        raise ParameterError(f"{owner}: seed = {seed}, but it must be ≥ 0.")


def _covered_fraction(centers: np.ndarray, half_widths: np.ndarray, cells: int) -> np.ndarray:
    """How much of each of `cells` equal cells of [0, 1] lies within center ± half-width; adds an axis for the cells."""
    edges = np.arange(cells)
    lower = (centers - half_widths)[..., None] * cells
    upper = (centers + half_widths)[..., None] * cells
    covered: np.ndarray = np.clip(np.minimum(upper, edges + 1) - np.maximum(lower, edges), 0, 1)
    return covered


def smooth_fields(
    *shape: Shape,
    bounds: Box | None = None,
    exponent: float = 3.0,
    std: float = 0.3,
    mean: float = 1.0,
    seed: int | None = None,
) -> Field:
    """
    Periodic Gaussian random fields with a power-law spectrum,

        u = mean + Σ_k c_k φ_k,   E|c_k|² ∝ |k|^(−exponent),   standard deviation `std` over the ensemble

    without edges: what linear rules are best for.

    Args:
        *shape: Batch shapes and one spatial shape, as for `heat_rectangles`.
        bounds: Physical domain. Default: unit cells.
        exponent: Decay of the power.
        std: Standard deviation per cell.
        mean: Mean of every sample.
        seed: Seed ≥ 0. `None` draws it from NumPy's global state, which PhiFlow's `math.seed` sets.

    Returns:
        Periodic `CenteredGrid` with the batch dims of `shape`, in the current precision of PhiFlow.

    Raises:
        ParameterError: as `heat_rectangles`.
    """
    dims = math.merge_shapes(*shape)
    _check("smooth_fields", dims, seed)
    template = CenteredGrid(0.0, extrapolation.PERIODIC, bounds=bounds, resolution=dims.spatial)
    basis = SpectralBasis.of(template)
    rng = _generator(seed)
    with math.precision(64):
        white = math.wrap(rng.standard_normal((dims.batch.volume, *dims.spatial.sizes)), batch("_b"), dims.spatial)
        k_squared = math.where(basis.is_constant > 0, 1.0, basis.k_squared())
        amplitude = k_squared ** (-exponent / 4) * (1 - basis.is_constant)
        scale = std / math.sqrt(basis.sum(amplitude**2) / dims.spatial.volume)
        values = mean + basis.inverse(basis.transform(white) * amplitude * scale)
    return _grid(values.numpy(["_b", *dims.spatial.names]), dims, bounds)


def heat_photographs(*shape: Shape, bounds: Box | None = None, seed: int | None = None) -> Field:
    """
    Photographs as initial heat: random square cut-outs of the grey-scale pictures that come with scikit-image, shrunk
    to the resolution and brought to values from 0 to 1. Their opposite edges do not match, which a periodic domain
    sees as edges.

    Args:
        *shape: Batch shapes and one spatial shape of rank 2, as for `heat_rectangles`.
        bounds: Physical domain. Default: unit cells.
        seed: Seed ≥ 0. `None` draws it from NumPy's global state, which PhiFlow's `math.seed` sets.

    Returns:
        Periodic `CenteredGrid` with the batch dims of `shape`, in the current precision of PhiFlow.

    Raises:
        ParameterError: as `heat_rectangles`, or if the resolution is not 2-D.
        UnsupportedError: if scikit-image is not installed.
    """
    dims = math.merge_shapes(*shape)
    _check("heat_photographs", dims, seed)
    if dims.spatial.rank != 2:
        raise ParameterError(f"heat_photographs: pictures are 2-D, but the shape is {dims}. Give two spatial dims.")
    rng = _generator(seed)
    pictures = [p for p in _photographs() if all(s <= n for s, n in zip(dims.spatial.sizes, p.shape, strict=True))]
    if not pictures:
        raise ParameterError(
            f"heat_photographs: no picture has as many pixels as {dims.spatial}. Give at most 512 cells per axis."
        )
    samples = [
        _cut_out(pictures[rng.integers(len(pictures))], dims.spatial.sizes, rng) for _ in range(dims.batch.volume)
    ]
    return _grid(np.stack(samples), dims, bounds)


PICTURES = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon")
LUMINANCE = (0.2125, 0.7154, 0.0721)  # ITU-R BT.709


@lru_cache(maxsize=1)
def _photographs() -> list[np.ndarray]:
    """The pictures that come with scikit-image itself; the others are downloaded."""
    try:
        from skimage import data
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "heat_photographs takes its pictures from scikit-image. Install it: pip install scikit-image."
        ) from error
    pictures = [getattr(data, name)() / 255 for name in PICTURES]
    return [picture if picture.ndim == 2 else picture @ LUMINANCE for picture in pictures]


def _cut_out(picture: np.ndarray, sizes: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Means over blocks of pixels of a random place in the picture."""
    factor = int(rng.integers(1, max(2, min(p // s for p, s in zip(picture.shape, sizes, strict=True)) + 1)))
    corner = [int(rng.integers(0, max(1, p - s * factor + 1))) for p, s in zip(picture.shape, sizes, strict=True)]
    part = picture[tuple(slice(c, c + s * factor) for c, s in zip(corner, sizes, strict=True))]
    rows, columns = sizes
    blocks: np.ndarray = part.reshape(rows, factor, columns, factor).mean((1, 3))
    return blocks
