"""Damping by the probability that a mode holds signal: the published rule, and its safe form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phiml import math
from phiml.math import Tensor

from ..frameworks import operations_of
from ..states import order, trees
from .signal_damping import Residual, SignalDamping


@dataclass(frozen=True)
class PublishedDamping(SignalDamping):
    """
    The damping of the published chapter, to the letter:

        P_k = s / (s + n),   s = exp(−½ (|A_k| / (N_x h_k))²),   n = exp(−½ (|A_k| / f)²),   0/0 → 0
        f² = Σ_cells u²,     u² = (relative_uncertainty · Δy)² + σ²

    with A_k the unnormalized Fourier coefficient of Δy, N_x the cells along the first axis, and σ the `noise_std` of
    the physics (0 in the chapter). It assumes that x is of order one, deletes amplitudes far above that (the 0/0
    branch), and diverges in training when the noise is larger than it was told. Use it to reproduce the chapter;
    `ProbabilisticDamping` is the safe form.

    Args:
        relative_uncertainty: Uncertainty of each cell of y* as a fraction of |Δy| there; ≥ 0.

    Source: Thuerey et al., Physics-based Deep Learning (arXiv 2109.05237), chapter "Learning to Invert Heat Conduction
    with Scale-invariant Updates"; the method: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion",
    NeurIPS 2022 (arXiv 2109.15048).
    """

    name: ClassVar[str] = "published-damping"

    def _noise_power(self, residual: Residual) -> Tensor:
        return self.relative_uncertainty**2 * residual.residual_mean_square + residual.noise_power

    def _evidence(self, power: Tensor, noise_power: Tensor, residual: Residual) -> Tensor:
        resolution = residual.basis.resolution
        expected = resolution.sizes[0] ** 2 / resolution.volume * residual.signal * math.exp(2 * residual.log_gain)
        signal = _likelihood(power, expected)
        noise = _likelihood(power, noise_power)
        return 2 * math.safe_div(signal, signal + noise) - 1


@dataclass(frozen=True)
class ProbabilisticDamping(SignalDamping):
    """
    Damping by the probability of signal, without the published rule's traps:

        P_k = 1 / (1 + exp(−z_k)),   z_k = ½ |â_k|² (1/f² − 1/e_k²),   e_k = δ h_k
        f² = relative_uncertainty² · mean Δy² + σ² + (4 ε · rms y*)²

    with â_k the orthonormal Fourier coefficient of Δy, δ = max(rms y*, rms Δy) the amplitude that x may have per mode,
    σ the `noise_std` of the physics and ε the rounding unit of the arithmetic. Differences to `PublishedDamping`:
    the noise never falls below what rounding makes of y*; δ is measured, so that scaling the data scales the answer;
    √(number of cells) stands in place of N_x (here inside the orthonormal â_k); the ratio of the likelihoods is taken
    in closed form, so that amplitudes far from both are judged too. Iterating it does not let the error grow.

    Args:
        relative_uncertainty: Uncertainty of y* as a fraction of the rms of Δy; ≥ 0.

    Source: as `PublishedDamping`, changed as stated.
    """

    name: ClassVar[str] = "probabilistic-damping"

    def _noise_power(self, residual: Residual) -> Tensor:
        rounding = 4 * residual.rounding_unit
        return (
            self.relative_uncertainty**2 * residual.residual_mean_square
            + residual.noise_power
            + rounding**2 * residual.target_mean_square
        )

    def _evidence(self, power: Tensor, noise_power: Tensor, residual: Residual) -> Tensor:
        """Computes tanh(z_k / 2)."""
        scale = math.maximum(residual.target_mean_square, residual.residual_mean_square)
        unit = order.where(scale > 0, scale, 1.0)
        smallest = 1e-36
        noise = math.maximum(noise_power / unit, smallest)
        signal = math.maximum(math.exp(2 * residual.log_gain), smallest)
        return _tanh((0.25 / unit) * power * (1 / noise - 1 / signal))


def _tanh(values: Tensor) -> Tensor:
    native = operations_of(values.default_backend).tanh(trees.native(values, values.shape))
    return math.reshaped_tensor(native, [*values.shape], convert=False)


def _likelihood(power: Tensor, variance: Tensor) -> Tensor:
    """Computes exp(−½ power / variance); 0 where the variance is 0."""
    known = variance > 0
    return order.where(known, math.exp(-0.5 * power / order.where(known, variance, 1.0)), 0.0)
