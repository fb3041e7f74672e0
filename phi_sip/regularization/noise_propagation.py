"""What noise does to an estimate that depends on the data in a nonlinear way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..states import order
from .base import square

Nodes = list[tuple[float, float, float]]


def _complex_noise() -> Nodes:
    """
    Returns the nodes for noise with independent real and imaginary parts.

    They are those of Gauss–Laguerre in |n|², which is exponentially distributed, and of the midpoint rule in the angle
    to the signal.
    """
    squares, weights = np.polynomial.laguerre.laggauss(3)
    angles = (np.arange(4) + 0.5) * np.pi / 4
    return [
        (float(r * np.cos(angle)), float(r * np.sin(angle)), float(weight / 4))
        for r, weight in zip(np.sqrt(squares), weights, strict=True)
        for angle in angles
    ]


def _real_noise() -> Nodes:
    """Returns the nodes for real noise, those of Gauss–Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    return [(float(n), 0.0, float(w)) for n, w in zip(nodes, weights / weights.sum(), strict=True)]


COMPLEX_NOISE, REAL_NOISE = _complex_noise(), _real_noise()


def propagated_variance(
    kernel: Callable[[Tensor], Tensor],
    power: Tensor,
    noise_power: Tensor,
    nodes: Nodes,
) -> Tensor:
    """
    Computes the variance of kernel(|â|²)·â per mode when â = s + n has Gaussian noise with E|n|² = `noise_power`.

    The kernel depends on the data, so the noise passes through it twice; taking the kernel as fixed understates the
    result by a third. Here the noise is integrated out. |s| is estimated by the positive-part shrinkage
    |â| (1 − E|n|² / |â|²). Against Monte-Carlo this is right within 5 % for `ProbabilisticDamping`. For
    `PublishedDamping`, which inverts more modes that hold nothing but noise, it overstates by up to 40 % where the
    noise is below 1e-4 of the data.

    Args:
        kernel: Computes the kernel from |â|².
        power: |â|² per mode.
        noise_power: E|n|².
        nodes: Real part, imaginary part and weight of samples of unit noise.

    Source: James, Stein, "Estimation with Quadratic Loss", 1961 (shrinkage); parametric bootstrap.
    """
    known = power > 0
    signal = order.where(known, math.maximum(power - noise_power, 0.0) / math.sqrt(order.where(known, power, 1.0)), 0.0)
    noise = math.sqrt(noise_power)
    mean, mean_square = math.wrap(0.0), math.wrap(0.0)
    for real_part, imaginary_part, weight in nodes:
        real = signal + noise * real_part
        observed = square(real) + square(noise * imaginary_part)
        factor = kernel(observed)
        mean = mean + weight * factor * real
        mean_square = mean_square + weight * square(factor) * observed
    return math.maximum(mean_square - square(mean), 0.0)
