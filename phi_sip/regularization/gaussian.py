"""The posterior of a Gaussian prior: what the Wiener filter and empirical Bayes share."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..states import order
from .base import Regularization, SpectralEstimate, SpectralProblem, SpectrumEstimate

CERTAIN = 1e4  # added to log S_k of the constant, which has no prior


class GaussianPrior(Regularization):
    """
    Posterior mean for x̂_k ~ N(0, S_k), independent:

        x̃̂_k = K_k â_k,   K_k = S_k h_k / (S_k h_k² + σ²),   Var x̂_k = S_k σ² / (S_k h_k² + σ²)

    The constant has no prior: K_0 = 1 / h_0. x̃ depends on y* alone: iterating changes nothing, and chases no noise.
    """

    @abstractmethod
    def spectrum_of(self, problem: SpectralProblem) -> SpectrumEstimate:
        """Computes S_k = E|x̂_k|² per mode."""

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        return self.posterior(problem, self.spectrum_of(problem))

    def posterior(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> SpectralEstimate:
        """Computes the estimate for the spectrum S_k."""
        certain = problem.log_gain + CERTAIN * problem.is_constant
        highest = 0.8 * float(np.log(np.finfo(f"float{certain.dtype.precision}").max))
        hidden = problem.noise_power * math.exp(math.minimum(-spectrum.log_power - certain, highest))
        kernel = 1 / (math.exp(problem.log_gain) + hidden)
        return SpectralEstimate(
            problem.target * kernel,
            stats={"kernel": kernel, "spectrum": math.exp(spectrum.log_power)},
            mode_variance=lambda: posterior_variance(problem, spectrum),
            is_posterior=True,
        )


def posterior_variance(problem: SpectralProblem, spectrum: SpectrumEstimate) -> Tensor:
    """Computes Var x̂_k = S_k σ² / (S_k h_k² + σ²), and σ² / h_0² for the constant."""
    log_noise, log_spectrum = math.log(problem.noise_power), spectrum.log_mean()
    informed = math.exp(log_spectrum + log_sigmoid(log_noise - log_spectrum - 2 * problem.log_gain))
    constant = math.exp(log_noise - 2 * problem.basis.sum(problem.log_gain * problem.is_constant))
    return order.where(problem.is_constant > 0, constant, informed)


def log_sigmoid(z: Tensor) -> Tensor:
    """Computes log(1 / (1 + e^(−z))) for z of any size."""
    return math.minimum(z, 0.0) - math.log(1 + math.exp(-abs(z)))
