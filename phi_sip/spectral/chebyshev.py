"""Functions of symmetric matrices by Chebyshev polynomials, which need products with the matrix only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from phiml.backend import Backend
from scipy import special

from ..frameworks import operations_of


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

    count = len(exponential(z, rounding)) + 1
    angles = np.pi * (np.arange(count) + 0.5) / count
    exponents = z * (np.cos(angles) - 1)  # none of which is 0
    values = np.expm1(exponents) / exponents
    found = np.cos(np.outer(np.arange(count), angles)) @ values * (2 / count)
    return float(found[0]) / 2, *(float(c) for c in found[1:])


class Recurrence(NamedTuple):
    """
    T_{k−1}(B) x, T_k(B) x, and the sum so far, Σ_j c_j T_j(B) x for j ≤ k.
    """

    before: Any
    now: Any
    total: Any


class Doubled(Protocol):
    """Computes 2 B v of a symmetric matrix B whose eigenvalues are between −1 and 1. Equal ones compute the same."""

    def __call__(self, constants: Any, v: Any) -> Any: ...


@dataclass(frozen=True)
class _Step:
    """T_{k+1}(B) x = 2 B T_k(B) x − T_{k−1}(B) x."""

    doubled: Doubled

    def __call__(self, constants: Any, state: Recurrence, c: Any) -> Recurrence:
        after = self.doubled(constants, state.now) - state.before
        return Recurrence(state.now, after, state.total + c * after)


def polynomial(backend: Backend, doubled: Doubled, constants: Any, coefficients: Sequence[float], x: Any) -> Any:
    """
    Computes Σ_k c_k T_k(B) x.

    Args:
        backend: Framework of the native tensors.
        doubled: Computes 2 B v. It is hashable.
        constants: Native tensors, or tuples of them, that B depends on.
        coefficients: c.
        x: A native tensor.
    """
    first, *others = coefficients
    now = 0.5 * doubled(constants, x)
    state = Recurrence(x, now, first * x + (others[0] if others else 0.0) * now)
    return operations_of(backend).fold(_Step(doubled), constants, state, others[1:]).total
