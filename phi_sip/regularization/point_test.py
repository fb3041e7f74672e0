"""Whether x may consist of few points: a test that costs next to nothing."""

from __future__ import annotations

from functools import lru_cache

from phiml import math
from phiml.math import Tensor, expand

from ..spectral import SpectralBasis
from .base import SpectrumEstimate, square

FLATTEST = 1.25  # exponent of a power law. Points have 0.5 … 1.2, rectangles 1.2 … 5, smooth fields what they are
PEAKED = 5.0  # kurtosis. A Gaussian has 3, white states and photographs whose spectrum is as flat 2 … 4


def may_be_points(linear: Tensor, spectrum: SpectrumEstimate, basis: SpectralBasis) -> Tensor:
    """
    Tells, as 1 or 0 per batch entry, whether an observation looks like that of few points: S_k decays hardly, as
    points have all waves alike, and few cells of the linear estimate stand out, as those of noise do not:

        β = −Σ_k m_k f_k log S_k / Σ_k m_k f_k² < 1.25,   f_k = log |k| less its mean
        N Σ (x − x̄)⁴ / (Σ (x − x̄)²)² > 5

    Args:
        linear: Coefficients of the linear estimate of x.
        spectrum: S_k.
        basis: The modes.
    """
    flat = basis.sum(math.to_float(_slope(basis)) * spectrum.log_power) < FLATTEST
    if flat.available and not flat.any:
        return math.to_float(flat)
    cells = basis.resolution
    fluctuation = square(basis.inverse(linear * math.to_float(1 - basis.is_constant)))
    second, fourth = math.mean(fluctuation, cells), math.mean(square(fluctuation), cells)
    return math.to_float(flat & (fourth > PEAKED * square(second)))


@lru_cache(maxsize=64)
def _slope(basis: SpectralBasis) -> Tensor:
    """Returns w per mode, so that Σ_k m_k w_k log S_k = β for S_k ∝ |k|^(−β)."""
    counts = 1 - basis.is_constant
    log_k = 0.5 * math.log(math.where(counts > 0, basis.k_squared(), 1.0))
    centered = counts * (log_k - basis.sum(counts * log_k) / basis.sum(counts))
    return expand(-centered / basis.sum(square(centered)), basis.modes)
