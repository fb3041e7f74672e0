"""What a rule sees of an observation, and what it makes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..spectral import SpectralBasis
from ..states import order
from .field_prior import FieldPrior


@dataclass(frozen=True)
class SpectrumEstimate:
    """
    What is known about S_k.

    Attributes:
        log_power: log S_k, or its mean if S_k is uncertain.
        log_mean: Computes log of the mean of S_k when called; more than `log_power` by what is uncertain about it.
    """

    log_power: Tensor
    log_mean: Callable[[], Tensor] = field(repr=False)


@dataclass(frozen=True, eq=False)
class SpectralProblem:
    """
    An observation of linear physics, in the modes in which it is diagonal:

        â_k = h_k x̂_k + n̂_k,   E|n̂_k|² = σ²

    Coefficients are computed when a rule first asks for them: `target`, â_k of y*; `state`, those of x, around which
    to invert; `residual`, those of Δy = y* − P(x).

    Attributes:
        compute_target, compute_state, compute_residual: Compute these coefficients.
        compute_mean_square: Computes the mean of y*² over the cells, offset and all that y does not depend on left out;
            `None`: it follows from `target`.
        log_gain: log h_k, real, ≤ 0 where the physics damps.
        noise_std: σ per cell, ≥ 0.
        basis: The modes.
        offset: What has been subtracted from x and y per cell to have these modes, the steady state of the boundary
            values.
        fit: Fits a power law to this observation, or to all that are pooled; see `power_law`.
        log_power: log v_k where the noise of y* is not white: coefficients of y* and gains were divided by √v_k.
    """

    compute_target: Callable[[], Tensor]
    compute_state: Callable[[], Tensor]
    compute_residual: Callable[[], Tensor]
    compute_mean_square: Callable[[], Tensor] | None
    log_gain: Tensor
    noise_std: Tensor
    basis: SpectralBasis
    offset: Tensor
    fit: Callable[[SpectralProblem, bool], SpectrumEstimate]
    log_power: Tensor | None = None
    _fitted: dict[bool, SpectrumEstimate] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def target(self) -> Tensor:
        """Coefficients â_k of y*."""
        return self.compute_target()

    @cached_property
    def state(self) -> Tensor:
        """Coefficients of x."""
        return self.compute_state()

    @cached_property
    def residual(self) -> Tensor:
        """Coefficients of Δy."""
        return self.compute_residual()

    @cached_property
    def power(self) -> Tensor:
        """|â_k|² of y*."""
        return power(self.target)

    @cached_property
    def mean_square(self) -> Tensor:
        """Mean of y*² over the cells."""
        if self.compute_mean_square is None:
            return self.basis.sum(self.power) / self.basis.resolution.volume
        return self.compute_mean_square()

    @cached_property
    def log_unit(self) -> Tensor:
        """log h_max: the units of y, on which no decision may depend."""
        return math.max(self.log_gain, self.basis.resolution.names)

    def log_signal_to_noise(self, spectrum: SpectrumEstimate) -> Tensor:
        """Computes log (S_k h_k² / σ²)."""
        return -math.log(self.noise_power) + (2 * self.log_gain + spectrum.log_power)

    @property
    def rounding_unit(self) -> float:
        """ε of the floating point type of the data."""
        return float(np.finfo(f"float{self.noise_std.dtype.precision}").eps)

    @property
    def is_constant(self) -> Tensor:
        """1 in the mode of the constant, which is conserved and needs no prior; 0 in all others."""
        return math.cast(self.basis.is_constant, math.DType(float, self.noise_std.dtype.precision))

    @cached_property
    def noise_power(self) -> Tensor:
        """σ², but never less than the rounding of y* and its transforms, ε² mean y*², and never 0."""
        rounding = self.rounding_unit**2 * self.mean_square
        variance = math.maximum(self.noise_std**2, rounding)
        return order.where(variance > 0, variance, 1.0)

    def power_law(self, *, pooled: bool = False) -> SpectrumEstimate:
        """
        Returns S_k as a power law that is fitted to the observation: once, whichever rules ask for it.

        Args:
            pooled: Whether all batch entries, of all workers, share one law.
        """
        if pooled not in self._fitted:
            self._fitted[pooled] = self.fit(self, pooled)
        return self._fitted[pooled]


@dataclass(frozen=True)
class SpectralEstimate:
    """
    What a rule makes of a problem.

    Attributes:
        coefficients: Those of x̃, or of Δx.
        is_correction: Whether they are those of Δx.
        stats: What the rule wants to report, by name, e.g. `kernel`.
        mode_variance: Computes the variance of each coefficient of x̃ when called; `None` if the rule knows none.
        is_posterior: Whether coefficients of x are independent and Gaussian, given y*, with this mean and variance.
    """

    coefficients: Tensor
    is_correction: bool = False
    stats: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    mode_variance: Callable[[], Tensor] | None = field(default=None, repr=False)
    is_posterior: bool = False


class Regularization(ABC):
    """
    A rule that turns an observation into a stable correction of x.

    Attributes:
        name: Registry key of the class.
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        """Computes x̃, or the correction of x, for `problem`."""

    @property
    def control(self) -> Regularization | None:
        """
        A rule that costs much less and is often right where this one is: what it gives needs to be corrected for a part
        of the samples only, see `Subsampled`. Default: `None`, as the rule costs little itself.
        """
        return None

    @property
    def field_prior(self) -> FieldPrior | None:
        """
        What iterations need of the rule, where physics has no closed form. Default: `None`, as the rule works in the
        modes of a closed form only.
        """
        return None

    @property
    def for_networks(self) -> Regularization:
        """The rule as targets of networks use it, which are rounded to single precision there. Default: itself."""
        return self

    def admissible(self, values: Tensor) -> Tensor:
        """Returns the nearest values per cell that the rule allows in x. Default: the values as they are."""
        return values


def power(coefficients: Tensor) -> Tensor:
    """Computes |â_k|². The coefficients of bases without a periodic axis are real."""
    if coefficients.dtype.kind is complex:
        return square(math.real(coefficients)) + square(math.imag(coefficients))
    return square(coefficients)


def square(values: Tensor) -> Tensor:
    """Computes values² as a product, as powers of large tensors take eager TensorFlow ten times as long."""
    return values * values
