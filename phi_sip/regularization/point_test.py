"""Whether x may consist of few points: a test that costs next to nothing."""

from __future__ import annotations

from functools import lru_cache

from phiml import math
from phiml.math import Tensor, expand

from ..spectral import SpectralBasis
from ..states import order
from .base import SpectralProblem, SpectrumEstimate, square

FLATTEST = 1.25  # exponent of a power law. Points have 0.5 … 1.2, rectangles 1.2 … 5, smooth fields what they are
PEAKED = 5.0  # kurtosis. A Gaussian has 3, white states and photographs whose spectrum is as flat 2 … 4
UNKNOWN = (1e-4, 0.94)  # of the modes: less needs no help; with more, points could not be told from each other


def may_be_points(problem: SpectralProblem, spectrum: SpectrumEstimate, linear: Tensor) -> Tensor:
    """
    Tells, as 1 or 0 per batch entry, whether an observation looks like that of few points, and whether to know this
    would help. S_k decays hardly, as points have all waves alike; the data determine neither next to all nor next to
    none of the N modes; and few cells of the linear estimate stand out, unlike those of noise:

        β = −Σ_k m_k f_k log S_k / Σ_k m_k f_k² < 1.25,   f_k = log |k| less its mean
        1e-4 N < Σ_k m_k σ² / (S_k h_k² + σ²) < 0.94 N
        N Σ (x − x̄)⁴ / (Σ (x − x̄)²)² > 5

    Args:
        problem: Observation.
        spectrum: S_k.
        linear: Coefficients of the linear estimate of x.
    """
    basis, (least, most) = problem.basis, UNKNOWN
    decay = basis.sum(math.cast(_slope(basis), spectrum.log_power.dtype) * spectrum.log_power)
    candidates = decay < FLATTEST
    if candidates.available and not candidates.any:
        return math.to_float(candidates)
    unknown = _unknown(problem, spectrum)
    candidates = candidates & (unknown > least) & (unknown < most)
    if candidates.available and not candidates.any:
        return math.to_float(candidates)
    fluctuation = square(basis.inverse(linear * (1 - problem.is_constant)))
    second, fourth = (math.mean(values, basis.resolution) for values in (fluctuation, square(fluctuation)))
    return math.to_float(candidates & (fourth > PEAKED * square(second)))


def _unknown(problem: SpectralProblem, spectrum: SpectrumEstimate) -> Tensor:
    """Computes the fraction of the modes that the data do not determine."""
    log_ratio = problem.log_signal_to_noise(spectrum)
    unknown = (1 - problem.is_constant) / (1 + math.exp(math.minimum(log_ratio, 80.0)))
    return problem.basis.sum(unknown) / problem.basis.resolution.volume


@lru_cache(maxsize=64)
def _slope(basis: SpectralBasis) -> Tensor:
    """Returns w per mode, so that Σ_k m_k w_k log S_k = β for S_k ∝ |k|^(−β)."""
    counts = 1 - basis.is_constant
    log_k = 0.5 * math.log(order.where(counts > 0, basis.k_squared(), 1.0))
    centered = counts * (log_k - basis.sum(counts * log_k) / basis.sum(counts))
    return expand(-centered / basis.sum(square(centered)), basis.modes)
