"""No regularization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phiml import math

from .base import Regularization, SpectralEstimate, SpectralProblem, square


@dataclass(frozen=True)
class Unregularized(Regularization):
    """
    The exact inverse, for physics that is well-posed and observations without noise:

        x̃̂_k = x̂_k + Δŷ_k / h_k

    The noise of mode k is divided by h_k, however small that is. The uncertainty is what this makes of σ, or of
    rounding if that is larger. It is that of the posterior for Gaussian noise and no prior.

    Source: Hansen, "Discrete Inverse Problems", SIAM 2010, eq. 2.24 with all filter factors 1.
    """

    name: ClassVar[str] = "unregularized"

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        kernel = math.exp(-problem.log_gain)
        return SpectralEstimate(
            problem.residual * kernel,
            is_correction=True,
            stats={"kernel": kernel},
            mode_variance=lambda: square(kernel) * problem.noise_power,
            is_posterior=True,
        )
