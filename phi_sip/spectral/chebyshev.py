"""Functions of symmetric matrices by Chebyshev polynomials, which need products with the matrix only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special


@lru_cache(maxsize=64)
def exponential(z: float, rounding: float) -> tuple[float, ...]:
    """
    Computes c_k of e^{z (s − 1)} = Σ_k c_k T_k(s) on −1 ≤ s ≤ 1:

        c_0 = e^{−z} I_0(z),   c_k = 2 e^{−z} I_k(z)

    with I_k the modified Bessel functions. About √(2 z log 1/ε) terms are not small.

    Args:
        z: z > 0.
        rounding: ε: what is left out is smaller.

    Source: Tal-Ezer, "Spectral methods in time for parabolic problems", 1989; Bergamaschi, Vianello, "Efficient
    computation of the exponential operator for large, sparse, symmetric matrices", 2000.
    """
    digits = np.log(1 / rounding)
    orders = np.arange(int(np.sqrt(2 * z * digits) + digits) + 10)
    found = special.ive(orders, z) * np.where(orders == 0, 1, 2)
    left_out = np.cumsum(found[::-1])[::-1]
    return tuple(float(c) for c in found[: max(1, int(np.sum(left_out > rounding)))])


@lru_cache(maxsize=64)
def mean_exponential(z: float, rounding: float) -> tuple[float, ...]:
    """
    Computes c_k of ∫₀¹ e^{τ z (s − 1)} dτ = (e^{z (s − 1)} − 1) / (z (s − 1)) = Σ_k c_k T_k(s).

    Args:
        z, rounding: See `exponential`, whose terms fall no faster.
    """

    def mean(s: np.ndarray) -> np.ndarray:
        return np.asarray(special.exprel(z * (s - 1)))

    return tuple(float(c) for c in chebyshev.chebinterpolate(mean, len(exponential(z, rounding))))


def polynomial(twice: Callable[[Any], Any], coefficients: Sequence[float], x: Any) -> Any:
    """
    Computes Σ_k c_k T_k(B) x by T_{k+1}(B) x = 2 B T_k(B) x − T_{k−1}(B) x.

    Args:
        twice: Computes 2 B v. The eigenvalues of B are between −1 and 1.
        coefficients: c.
        x: A native tensor.
    """
    total = coefficients[0] * x
    if len(coefficients) == 1:
        return total
    before, now = x, 0.5 * twice(x)
    total = total + coefficients[1] * now
    for c in coefficients[2:]:
        before, now = now, twice(now) - before
        total = total + c * now
    return total
