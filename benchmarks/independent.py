"""
Inversions of periodic heat conduction by other libraries, on NumPy arrays, to compare with; none uses `phi_sip`.

Arrays have the axes (sample, x, y), unit cells; `gain` is h on the full grid of wavenumbers.
"""

from __future__ import annotations

import numpy as np
import pylops
import pyproximal
from pyproximal.optimization.primaldual import PrimalDual
from scipy.sparse.linalg import LinearOperator, lsqr
from skimage import restoration

BALANCES = 10.0 ** np.arange(-9, 0)


def heat_gain(cells: tuple[int, int], amount: float) -> np.ndarray:
    """h = exp(−|k|² ν t)."""
    kx, ky = (2 * np.pi * np.fft.fftfreq(n) for n in cells)
    gain: np.ndarray = np.exp(-amount * (kx[:, None] ** 2 + ky**2))
    return gain


def conduct(u: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """P(u), over the last two axes."""
    y: np.ndarray = np.fft.ifft2(gain * np.fft.fft2(u)).real
    return y


def wiener(y: np.ndarray, gain: np.ndarray, balance: float) -> np.ndarray:
    """scikit-image: h / (h² + balance |Laplacian|²)."""
    transfer = gain[:, : gain.shape[1] // 2 + 1].astype(complex)
    return np.stack([restoration.wiener(sample, transfer, balance, clip=False) for sample in y])


def best_wiener(y: np.ndarray, gain: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The balance of least error, which only the truth can tell."""
    return min((wiener(y, gain, b) for b in BALANCES), key=lambda x: float(np.sum((x - truth) ** 2)))


def unsupervised_wiener(y: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """scikit-image: balance and noise sampled from their posterior (Orieux et al. 2010)."""
    transfer = gain[:, : gain.shape[1] // 2 + 1].astype(complex)
    return np.stack([restoration.unsupervised_wiener(sample, transfer, clip=False, rng=0)[0] for sample in y])


def tikhonov_lsqr(y: np.ndarray, gain: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """SciPy: argmin ‖P x − y‖² + α ‖x‖² of the fluctuation, the mean being known; one α per sample."""
    shape = gain.shape

    def apply(u: np.ndarray) -> np.ndarray:
        return conduct(u.reshape(shape), gain).ravel()

    operator = LinearOperator((gain.size, gain.size), matvec=apply, rmatvec=apply, dtype=float)

    def invert(sample: np.ndarray, strength: float) -> np.ndarray:
        mean = sample.mean()
        found = lsqr(operator, (sample - mean).ravel(), damp=strength**0.5, atol=1e-12, btol=1e-12, iter_lim=1000)
        fluctuation: np.ndarray = found[0].reshape(shape)
        return mean + fluctuation

    return np.stack([invert(sample, strength) for sample, strength in zip(y, alpha, strict=True)])


def gradient(u: np.ndarray) -> np.ndarray:
    """D u: differences to the next cell along x and y, periodic, along a new first axis."""
    return np.stack([np.roll(u, -1, axis) - u for axis in (-2, -1)])


def total_variation(u: np.ndarray) -> np.ndarray:
    """Σ_a ‖D_a u‖₁ per sample."""
    variation: np.ndarray = np.abs(gradient(u)).sum((0, -2, -1))
    return variation


def objective(x: np.ndarray, y: np.ndarray, gain: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """½ ‖P x − y‖² + λ Σ_a ‖D_a x‖₁ per sample."""
    values: np.ndarray = 0.5 * ((conduct(x, gain) - y) ** 2).sum((-2, -1)) + strength * total_variation(x)
    return values


def strength_of(x: np.ndarray, y: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """The λ that x is the minimizer for: ⟨P x, y − P x⟩ = λ Σ_a ‖D_a x‖₁ at a minimum."""
    simulated = conduct(x, gain)
    strength: np.ndarray = (simulated * (y - simulated)).sum((-2, -1)) / total_variation(x)
    return strength


class HeatMisfit(pyproximal.ProxOperator):
    """f(x) = ½ ‖P x − y‖² with prox_τf(v) = (1 + τ h²)⁻¹ (v + τ h y) per mode."""

    def __init__(self, y: np.ndarray, gain: np.ndarray) -> None:
        super().__init__()
        self.y, self.gain = y, gain

    def __call__(self, x: np.ndarray) -> float:
        return float(0.5 * np.sum((conduct(x.reshape(self.y.shape), self.gain) - self.y) ** 2))

    def prox(self, x: np.ndarray, tau: float) -> np.ndarray:
        moved = np.fft.fft2(x.reshape(self.y.shape)) + tau * self.gain * np.fft.fft2(self.y)
        return np.fft.ifft2(moved / (1 + tau * self.gain**2)).real.ravel()


def tv_primal_dual(y: np.ndarray, gain: np.ndarray, strength: np.ndarray, iterations: int) -> np.ndarray:
    """PyProximal's algorithm of Chambolle and Pock for `objective`, all samples as one problem."""
    shape = (2, *y.shape)
    slopes = pylops.FunctionOperator(
        lambda u: gradient(u.reshape(y.shape)).ravel(), lambda p: _adjoint(p.reshape(shape)).ravel(), 2 * y.size, y.size
    )
    limits = np.broadcast_to(strength[:, None, None], shape).ravel()
    dual_step = 10 * float(strength.mean())  # the dual variable is at most λ, differences are about 0.1
    primal_step = 0.99 / (8 * dual_step)  # ‖D‖² ≤ 8
    misfit, penalty = HeatMisfit(y, gain), pyproximal.L1(sigma=limits)
    found = PrimalDual(misfit, penalty, slopes, y.ravel().copy(), primal_step, dual_step, niter=iterations)
    estimate: np.ndarray = found.reshape(y.shape)
    return estimate


def _adjoint(p: np.ndarray) -> np.ndarray:
    """Dᵀ p."""
    return sum(np.roll(part, 1, axis) - part for part, axis in zip(p, (-2, -1), strict=True))
