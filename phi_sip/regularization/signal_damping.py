"""Damping by the probability that a mode holds signal: what the rules share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from phiml import math
from phiml.math import Tensor

from ..spectral import SpectralBasis
from ..states import order
from ..states.checks import check_parameter
from .base import Regularization, SpectralEstimate, SpectralProblem, power
from .noise_propagation import COMPLEX_NOISE, REAL_NOISE, propagated_variance

UNDECIDED = 0.36  # 2 P − 1 at one standard deviation of evidence, P = 0.68


@dataclass(frozen=True)
class Residual:
    """
    What is known about a residual Δy, in units of y.

    Attributes:
        power: |â_k|².
        log_gain: log (h_k / h_max): what a rule decides must not depend on the units of y.
        noise_power: σ².
        residual_mean_square, target_mean_square: Mean over the cells of Δy² and y*².
        signal: h_max².
        rounding_unit: ε of the floating point type.
        basis: The modes.
    """

    power: Tensor
    log_gain: Tensor
    noise_power: Tensor
    residual_mean_square: Tensor
    target_mean_square: Tensor
    signal: Tensor
    rounding_unit: float
    basis: SpectralBasis

    @staticmethod
    def of(problem: SpectralProblem) -> Residual:
        """Returns what `problem` says of Δy."""
        observed = power(problem.residual)
        return Residual(
            observed,
            problem.log_gain - problem.log_unit,
            problem.noise_std * problem.noise_std,
            problem.basis.sum(observed) / problem.basis.resolution.volume,
            problem.mean_square,
            math.exp(2 * problem.log_unit),
            problem.rounding_unit,
            problem.basis,
        )


@dataclass(frozen=True)
class SignalDamping(Regularization):
    """
    What the rules share that damp by the probability P_k of signal:

        Δx̂_k = kernel_k Δŷ_k,   kernel_k = exp(−log h_k · action_k)
        action_k = 2 P_k − 1,   but 0 where 0.5 < P_k < 0.68

    so that action 1 inverts, 0 passes Δy on, and −1 damps once more. Below one standard deviation of evidence
    (P = 0.68) nothing is sharpened. The uncertainty is the spread of x̃ that the noise causes; what the noise hides is
    not part of it.
    """

    relative_uncertainty: float = 1e-6

    def __post_init__(self) -> None:
        check_parameter(type(self).__name__, "relative_uncertainty", self.relative_uncertainty)

    @abstractmethod
    def _noise_power(self, residual: Residual) -> Tensor:
        """Computes E|n̂_k|² of the noise."""

    @abstractmethod
    def _evidence(self, power: Tensor, noise_power: Tensor, residual: Residual) -> Tensor:
        """Computes 2 P_k − 1 for observed |â_k|² = `power`."""

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        residual = Residual.of(problem)
        noise_power = self._noise_power(residual)

        def kernel(power: Tensor) -> tuple[Tensor, Tensor]:
            evidence = self._evidence(power, noise_power, residual)
            action = order.where(evidence < UNDECIDED, math.minimum(evidence, 0.0), evidence)
            return math.exp(action * -residual.log_gain), evidence

        def variance() -> Tensor:
            nodes = REAL_NOISE if residual.basis.is_real else COMPLEX_NOISE
            spread = propagated_variance(lambda p: kernel(p)[0], residual.power, noise_power, nodes)
            return spread / residual.signal

        factor, evidence = kernel(residual.power)
        if not _is_zero(problem.log_unit):
            factor = factor * math.exp(-problem.log_unit)
        stats = {"kernel": factor, "evidence": evidence, "noise_std": math.sqrt(noise_power)}
        return SpectralEstimate(problem.residual * factor, is_correction=True, stats=stats, mode_variance=variance)


def _is_zero(values: Tensor) -> bool:
    """Tells whether all values are 0, as far as is known."""
    return values.available and bool((values == 0).all)
