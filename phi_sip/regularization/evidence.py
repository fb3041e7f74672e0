"""Power-law spectra fitted to observations by their marginal likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..states import order
from .base import SpectralProblem, SpectrumEstimate
from .law_evidence import LawEvidence
from .power_laws import EXPONENT, Laws, features_in, normalized

EXPONENTS = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.5, 9.0])
REFINEMENTS = (0.3, 0.075)  # of the grid around the best law, of a fraction of β
SIGNIFICANT = 10.0  # log of the evidence for any signal at all over that for none
EVIDENT = 50.0  # |â_k|² / σ², which noise alone exceeds once in 1e12 modes
NOTHING = -80.0  # log (S_k h_max² / σ²) where there is none
_FIT = ("_family", "_exponent")


def fit_power_law(problem: SpectralProblem, pooled: bool) -> SpectrumEstimate:
    """
    Computes S_k, averaged over power laws with their evidence as weight, see `EmpiricalBayes`.

    The evidence is that of a subset of the modes, see `Lattice`, without those whose gain is far below rounding. Where
    the modes but the constant hold nothing but noise, as after a very long time, S_k is 0: an amplitude fitted to noise
    would be amplified without bound.

    Args:
        problem: Observation; σ as `noise_power`.
        pooled: Whether all batch entries, of all workers, share one law. Many observations know it so well that the
            grid of laws is refined around the best.
    """
    evidence = LawEvidence(problem, pooled)
    laws = evidence.laws(math.to_float(math.wrap(EXPONENTS, EXPONENT)))
    for width in REFINEMENTS if pooled else ():
        laws = evidence.laws(laws.around_mean(width))
    rounding = problem.rounding_unit**2 * problem.basis.sum(problem.power)  # not white: maybe all in one mode
    significant = math.max(laws.evidence, _FIT) - evidence.evidence_of_nothing() > SIGNIFICANT
    fit = _Fit(problem, laws, significant & (evidence.power * problem.noise_power > rounding), rounding)
    return SpectrumEstimate(fit.log_power(), fit.log_mean)


@dataclass(frozen=True, eq=False)
class _Fit:
    """
    The average of laws.

    Attributes:
        problem: Observation.
        laws: What is averaged.
        seen: Whether there is any signal.
        rounding: Power that may be but rounding.
    """

    problem: SpectralProblem
    laws: Laws
    seen: Tensor
    rounding: Tensor

    @cached_property
    def weights(self) -> Tensor:
        """The evidence of each law as a fraction of all."""
        return normalized(self.laws.log_weight, _FIT)

    @cached_property
    def mean_log_amplitude(self) -> Tensor:
        """The mean of log A."""
        return math.sum(self.weights * self.laws.log_amplitude, _FIT)

    @cached_property
    def features(self) -> Tensor:
        """f_k of all modes."""
        return features_in(self.problem)

    def log_power(self) -> Tensor:
        """Computes the mean of log S_k."""
        exponent = math.sum(self.weights * self.laws.exponent, "_exponent")
        mean = self.mean_log_amplitude - math.dot(exponent, "_family", self.features, "_family")
        return self._or_nothing(mean)

    def log_mean(self) -> Tensor:
        """Computes the log of the mean of S_k."""
        laws = self.laws
        amplitudes = self.weights * math.exp(laws.log_amplitude - self.mean_log_amplitude + 0.5 * laws.variance)
        parts = []
        for i in range(laws.exponent.shape.get_size("_exponent")):
            one = {"_exponent": i}
            decay = math.exp(-laws.exponent[one] * self.features)
            parts.append(math.sum(amplitudes[one] * decay, "_family"))
        return self._or_nothing(self.mean_log_amplitude + math.log(sum(parts[1:], parts[0])))

    def _or_nothing(self, fitted: Tensor) -> Tensor:
        """Returns the law where there is signal, and at least what is evident."""
        return math.maximum(order.where(self.seen, fitted, _nothing(self.problem)), self._evident)

    @cached_property
    def _evident(self) -> Tensor:
        return _evident(self.problem, self.rounding)


def _nothing(problem: SpectralProblem) -> Tensor:
    """Returns log S_k where there is no signal."""
    return math.log(problem.noise_power) + NOTHING - 2 * problem.log_unit


def _evident(problem: SpectralProblem, rounding: Tensor) -> Tensor:
    """
    Computes log |â_k|² / h_k² of the modes that hold signal whatever the law; very little elsewhere.

    Args:
        problem: Observation.
        rounding: Power that may be but rounding.
    """
    noise = problem.noise_power
    recoverable = problem.log_gain - problem.log_unit > 0.5 * np.log(problem.rounding_unit)
    certain = recoverable & (math.maximum(EVIDENT * noise, rounding) < problem.power)
    amplitude = -2 * problem.log_gain + math.log(order.where(certain, problem.power, 1.0))
    return order.where(certain, amplitude, _nothing(problem))
