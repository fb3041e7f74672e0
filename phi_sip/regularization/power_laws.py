"""Power laws of states, and how they average."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from phiml import math
from phiml.math import Tensor, channel, expand

from ..spectral import SpectralBasis
from .base import SpectralProblem
from .spectra import log_wavenumber

FAMILY, EXPONENT = channel("_family"), channel("_exponent")


@dataclass(frozen=True)
class Laws:
    """
    Laws S_k = A exp(−β f_k) with the best A of each β.

    Attributes:
        exponent: β, along `_exponent`.
        log_amplitude: log A.
        variance: That of log A, given the observation.
        evidence: Log of the marginal likelihood with this A.
    """

    exponent: Tensor
    log_amplitude: Tensor
    variance: Tensor
    evidence: Tensor

    @property
    def log_weight(self) -> Tensor:
        """Log of the marginal likelihood, integrated over log A by Laplace's method."""
        return self.evidence + 0.5 * math.log(self.variance)

    def around_mean(self, width: float) -> Tensor:
        """Returns values of β within this fraction of the mean law of each family, along `_exponent`."""
        steps = math.to_float(math.wrap(np.linspace(-width, width, 9), EXPONENT))
        return math.sum(normalized(self.log_weight, "_exponent") * self.exponent, "_exponent") * (1 + steps)


def features_in(problem: SpectralProblem) -> Tensor:
    """Returns `log_features` in the precision of the data."""
    return math.cast(log_features(problem.basis), problem.noise_std.dtype)


@lru_cache(maxsize=64)
def log_features(basis: SpectralBasis) -> Tensor:
    """Computes f_k = −log S_k / β of each family with A = 1, along the dim `_family`; float64."""
    axes = basis.axis_wavenumbers
    isotropic = log_wavenumber(basis)
    if len(axes) == 1:
        return expand(isotropic, FAMILY.with_size(1))
    with math.precision(64):
        parts = [0.5 * math.log(k**2 + (2 * np.pi / basis.size.vector[axis]) ** 2) for axis, k in axes.items()]
        product = sum(parts[1:], parts[0])
        return math.stack([expand(isotropic, basis.modes), expand(product, basis.modes)], FAMILY)


def normalized(log_weights: Tensor, dims: str | tuple[str, ...]) -> Tensor:
    """Computes weights that sum to 1 from their logarithms."""
    weights = math.exp(log_weights - math.max(log_weights, dims))
    return weights / math.sum(weights, dims)
