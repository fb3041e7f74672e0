"""Random fields without edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml.math import Shape, extrapolation

from .grids import dims_of, drawn_dims, grid_samples
from .samples import Samples
from .seeds import seed_or_global


def smooth_fields(
    *shape: Shape,
    bounds: Box | None = None,
    exponent: float = 3.0,
    std: float = 0.3,
    mean: float = 1.0,
    seed: int | None = None,
) -> Field:
    """
    Returns periodic Gaussian random fields with a power-law spectrum,

        u = mean + Σ_k c_k φ_k,   E|c_k|² ∝ |k|^(−exponent),   standard deviation `std` over the ensemble

    which have no edges. Linear regularization rules are best for such fields.

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
        UnsupportedError: on a thread of `prefetched`, where `smooth_field_samples` must be used.
    """
    samples = smooth_field_samples(*shape, bounds=bounds, exponent=exponent, std=std, mean=mean)
    return samples(seed_or_global(seed))


def smooth_field_samples(
    *shape: Shape, bounds: Box | None = None, exponent: float = 3.0, std: float = 0.3, mean: float = 1.0
) -> Samples[np.ndarray, Field]:
    """Returns the grids of `smooth_fields` as `Samples`. Arguments and errors are those of that function."""
    dims = dims_of("smooth_fields", *shape)
    grid = CenteredGrid(0.0, extrapolation.PERIODIC, bounds=bounds, resolution=dims.spatial)
    axes = drawn_dims(dims.spatial)
    lengths = [float(grid.bounds.size.vector[axis]) for axis in axes.names]
    entries, sizes = dims.batch.volume, axes.sizes
    amplitude = std * _unit_amplitude(sizes, lengths, exponent)
    return grid_samples(
        "smooth_fields", dims, bounds, lambda rng: mean + _coloured(rng.standard_normal((entries, *sizes)), amplitude)
    )


def _unit_amplitude(sizes: Sequence[int], lengths: Sequence[float], exponent: float) -> np.ndarray:
    """Returns √E|c_k|² ∝ |k|^(−exponent/2) for k ≠ 0, and 0 for k = 0, with variance 1 per cell."""
    axes = [2 * np.pi * np.fft.fftfreq(n, 1 / n) / length for n, length in zip(sizes, lengths, strict=True)]
    k_squared = np.asarray(sum(k**2 for k in np.meshgrid(*axes, indexing="ij", sparse=True)))
    is_constant = k_squared == 0
    amplitude = np.where(is_constant, 1.0, k_squared) ** (-exponent / 4) * ~is_constant
    unit: np.ndarray = amplitude / np.sqrt(np.mean(amplitude**2))
    return unit


def _coloured(white: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """Returns white noise (batch, cells…) with each mode multiplied by its amplitude."""
    axes = range(1, white.ndim)
    kept = amplitude[..., : white.shape[-1] // 2 + 1]
    values: np.ndarray = np.fft.irfftn(np.fft.rfftn(white, axes=axes) * kept, s=white.shape[1:], axes=axes)
    return values
