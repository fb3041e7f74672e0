"""What a rule sees of an observation, and what it makes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..spectral import SpectralBasis


@dataclass(frozen=True)
class SpectralProblem:
    """
    An observation of linear physics, in the modes in which it is diagonal:

        â_k = h_k x̂_k + n̂_k,   E|n̂_k|² = σ²

    Attributes:
        target: Coefficients â_k of y* in `basis`.
        state: Coefficients of x, around which to invert.
        residual: Coefficients of Δy = y* − P(x).
        log_gain: log h_k, real, ≤ 0 where the physics damps.
        noise_std: σ per cell, ≥ 0.
        basis: The modes.
        offset: What has been subtracted from x and y per cell to have these modes, the steady state of the boundary
            values.
    """

    target: Tensor
    state: Tensor
    residual: Tensor
    log_gain: Tensor
    noise_std: Tensor
    basis: SpectralBasis
    offset: Tensor

    @property
    def log_unit(self) -> Tensor:
        """log h_max: the units of y, on which no decision may depend."""
        return math.max(self.log_gain, self.basis.resolution.names)

    @property
    def rounding_unit(self) -> float:
        """ε of the floating point type of the data."""
        return float(np.finfo(f"float{self.noise_std.dtype.precision}").eps)

    @property
    def is_constant(self) -> Tensor:
        """1 in the mode of the constant, which is conserved and needs no prior; 0 in all others."""
        return math.cast(self.basis.is_constant, math.DType(float, self.noise_std.dtype.precision))

    def mean_square(self, coefficients: Tensor) -> Tensor:
        """Mean over the cells of the square of what has these coefficients."""
        return self.basis.sum(power(coefficients)) / self.basis.resolution.volume

    def noise_power(self) -> Tensor:
        """σ², but never less than the rounding of y* and its transforms, ε² mean y*², and never 0."""
        rounding = self.rounding_unit**2 * self.mean_square(self.target)
        variance = math.maximum(self.noise_std**2, rounding)
        return math.where(variance > 0, variance, 1.0)


@dataclass(frozen=True)
class SpectralEstimate:
    """
    What a rule makes of a problem.

    Attributes:
        correction: Coefficients of Δx.
        stats: What the rule wants to report, by name, e.g. `kernel`.
        variance: Computes the variance of x̃ per cell when called; `None` if the rule knows none.
    """

    correction: Tensor
    stats: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    variance: Callable[[], Tensor] | None = field(default=None, repr=False)


class Regularization(ABC):
    """A rule that turns an observation into a stable correction of x."""

    @abstractmethod
    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        """The correction of x for `problem`."""


def power(coefficients: Tensor) -> Tensor:
    """|â_k|²; coefficients of bases without a periodic axis are real."""
    if coefficients.dtype.kind is complex:
        return math.real(coefficients) ** 2 + math.imag(coefficients) ** 2
    return coefficients**2
