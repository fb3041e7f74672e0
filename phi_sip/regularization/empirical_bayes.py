"""Empirical Bayes: the Wiener filter whose spectrum is fitted to the one observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import SpectralProblem, SpectrumEstimate
from .field_prior import FieldPrior
from .gaussian import GaussianPrior


@dataclass(frozen=True)
class EmpiricalBayes(GaussianPrior):
    """
    The Wiener filter for a power-law spectrum fitted to each observation by its marginal likelihood:

        S_k = A |k|^(−β)   or   A Π_a (k_a² + (2π / L_a)²)^(−β/2)
        log p(y* | A, β) = −½ Σ_k m_k [log(S_k h_k² + σ²) + |â_k|² / (S_k h_k² + σ²)]

    The first family is isotropic; the second, with its power along the axes, is that of things with sides along them.
    log S_k is averaged over both families and β from 1 to 9, each with its most likely A, weighted by p and what is
    unknown of A (Laplace's approximation). Batch entries do not mix. The uncertainty is the standard deviation of the
    posterior, with the mean of S_k in place of its geometric mean, so that what is unknown of the spectrum counts.

    Source: MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, eqs. 2.3–2.6 (evidence); Efron, "Large-Scale
    Inference", 2010, chapter 1 (empirical Bayes).
    """

    name: ClassVar[str] = "empirical-bayes"

    @property
    def field_prior(self) -> FieldPrior:
        return FieldPrior()

    def spectrum_of(self, problem: SpectralProblem) -> SpectrumEstimate:
        return problem.power_law()
