"""Orthonormal real modes along one axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import fft

Transform = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class AxisModes:
    """
    Eigenfunctions of ∂²/∂x² on a uniform axis, real and orthonormal.

    Attributes:
        name: What they are.
        transform, inverse: Map values to coefficients and back, along an axis of an array.
        wavenumbers: Returns k of each of n modes for the length L.
    """

    name: str
    transform: Transform
    inverse: Transform
    wavenumbers: Callable[[int, float], np.ndarray]

    def squared(self, n: int) -> np.ndarray:
        """Returns φ_k(x)², shape (modes, cells)."""
        values: np.ndarray = self.transform(np.eye(n), 0) ** 2
        return values


def _hartley(values: np.ndarray, axis: int) -> np.ndarray:
    """Computes Σ_x u(x) (cos k x + sin k x) / √n, which is its own inverse."""
    found = fft.fft(values, axis=axis, norm="ortho")
    difference: np.ndarray = found.real - found.imag
    return difference


COSINES = AxisModes(
    "cosines",
    lambda values, axis: fft.dct(values, 2, axis=axis, norm="ortho"),
    lambda values, axis: fft.idct(values, 2, axis=axis, norm="ortho"),
    lambda n, length: np.pi * np.arange(n) / length,
)
SINES = AxisModes(
    "sines",
    lambda values, axis: fft.dst(values, 2, axis=axis, norm="ortho"),
    lambda values, axis: fft.idst(values, 2, axis=axis, norm="ortho"),
    lambda n, length: np.pi * np.arange(1, n + 1) / length,
)
PERIODIC = AxisModes(
    "periodic modes", _hartley, _hartley, lambda n, length: np.abs(2 * np.pi * np.fft.fftfreq(n, length / n))
)
