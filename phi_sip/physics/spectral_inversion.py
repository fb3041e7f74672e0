"""One inversion of linear physics that is diagonal in the modes of the domain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor, batch, expand

from ..contract.physics import Correction
from ..regularization import Regularization, SpectralEstimate, SpectralProblem
from ..regularization.arguments import estimate_noise
from ..regularization.base import power
from ..regularization.evidence import fit_power_law
from ..regularization.noise import EmptyModes
from ..regularization.plateau import NoiseEstimate
from ..spectral import SpectralBasis
from ..spectral.steady_state import holds_values
from ..states import trees
from ..states.draws import standard_normal


def seen(per_mode: Tensor, basis: SpectralBasis, sees_constant: bool) -> Tensor:
    """Returns what is given per mode, 0 for the constant if y does not depend on it."""
    return per_mode if sees_constant else per_mode * math.to_float(1 - basis.is_constant)


@dataclass(frozen=True, eq=False)
class SpectralResponse:
    """
    How observations depend on the modes of x, all observations of one x made one:

        â_k = Σ_t w_{k,t} F(y_t)_k,   E â_k = h_k x̂_k

    Attributes:
        basis: The modes.
        log_gain: log h_k.
        weights: w per mode, 0 where y does not depend on it; `None` if â = F(y).
        observations: The dim t, if there are several observations of one x.
        sees_constant: Whether y depends on the constant mode of x.
        log_power: log v_k of noise that is not white, by whose root w and h were divided.
    """

    basis: SpectralBasis
    log_gain: Tensor
    weights: Tensor | None
    observations: Shape
    sees_constant: bool
    log_power: Tensor | None = None

    def coefficients(self, values: Tensor) -> Tensor:
        """Computes â_k of observations per cell."""
        found = self.basis.transform(values)
        return found if self.weights is None else math.sum(self.weights * found, self.observations)

    def noise(self, noise_std: float | Tensor | EmptyModes | str, target: Callable[[], Tensor]) -> NoiseEstimate:
        """
        Returns σ as given, or as measured.

        Args:
            noise_std: See `resolve_noise`.
            target: Computes â_k of y*.
        """
        return estimate_noise(noise_std, lambda: power(target()), self.log_gain, self.basis)

    def without_constant(self, values: Tensor) -> Tensor:
        """Returns values per cell less their constant mode, if y does not depend on it."""
        if self.sees_constant or not self.basis.conserves_mean:
            return values
        return values - math.mean(values, self.basis.resolution)


@dataclass(frozen=True, eq=False)
class SpectralInversion:
    """
    An observation, the state around which it is inverted, and what both are in the modes, computed when first read.

    Attributes:
        response: How observations depend on x.
        y_target, x, y: See `InvertiblePhysics.inverse`.
        before, after: What holds the boundary values in x and y, per cell.
    """

    response: SpectralResponse
    y_target: Field
    x: Field
    y: Field
    before: Tensor
    after: Tensor

    @cached_property
    def target(self) -> Tensor:
        """Coefficients of y*."""
        return self.response.coefficients(self._lifted(self.y_target.values, self.after))

    @property
    def state(self) -> Tensor:
        """Coefficients of x."""
        response = self.response
        found = response.basis.transform(self._lifted(self.x.values, self.before))
        return seen(found, response.basis, response.sees_constant)

    @property
    def residual(self) -> Tensor:
        """Coefficients of y* − y."""
        return self.response.coefficients(self.y_target.values - self.y.values)

    @property
    def mean_square(self) -> Tensor:
        """Mean of y*² over the cells, for coefficients that are F(y*)."""
        values, cells = self._lifted(self.y_target.values, self.after), self.response.basis.resolution
        return math.dot(values, cells.names, values, cells.names) / cells.volume

    def correction(self, rule: Regularization, noise_std: float | Tensor | EmptyModes | str) -> Correction:
        """
        Computes the correction of x that a rule makes of the observation.

        Args:
            rule: Decides how far each mode is inverted.
            noise_std: See `resolve_noise`.
        """
        response, basis = self.response, self.response.basis
        noise = response.noise(noise_std, lambda: self.target)
        problem = SpectralProblem(
            lambda: self.target,
            lambda: self.state,
            lambda: self.residual,
            None if response.weights is not None else lambda: self.mean_square,
            _without_dead_modes(response.log_gain, basis),
            noise.std,
            basis,
            self.before,
            fit_power_law,
            response.log_power,
        )
        estimate = rule.estimate(problem)
        dx = basis.inverse(estimate.coefficients)
        if not estimate.is_correction:
            dx = dx - response.without_constant(self._lifted(self.x.values, self.before))
        stats = {
            "noise_std": noise.std,
            "noise_relative_error": noise.relative_error,
            "noise_known": noise.known,
            "log_gain": response.log_gain,
            **estimate.stats,
        }
        correction = Correction(trees.with_values(self.x, dx), stats=stats)
        return self._with_spread(correction, estimate)

    def _lifted(self, values: Tensor, offset: Tensor) -> Tensor:
        """Returns values per cell that are 0 at fixed sides."""
        return values - offset if holds_values(self.response.basis) else values

    def _with_spread(self, correction: Correction, estimate: SpectralEstimate) -> Correction:
        """Returns the correction with what computes the standard deviation of x̃, and what draws states, if known."""
        compute, x, response, basis = estimate.mode_variance, self.x, self.response, self.response.basis
        if compute is None:
            return correction

        def variance() -> Tensor:
            return seen(compute(), basis, response.sees_constant)

        def uncertainty() -> Field:
            return trees.with_values(x, expand(math.sqrt(basis.variance_per_cell(variance())), basis.resolution))

        def draw(count: int, generator: np.random.Generator) -> Field:
            mean = trees.add(x, correction.dx)
            shape = batch(posterior_samples=count) & mean.values.shape
            white = standard_normal(shape, trees.precision_of(mean), generator)
            deviation = basis.inverse(basis.transform(white) * math.sqrt(variance()))
            return trees.with_values(mean, mean.values + deviation)

        return dataclasses.replace(correction, uncertainty=uncertainty, draw=draw if estimate.is_posterior else None)


def _without_dead_modes(log_gain: Tensor, basis: SpectralBasis) -> Tensor:
    """
    Returns log h, no less than log ε^2.5 h_max: a mode is lost in rounding long before.

    What is computed from smaller gains leaves the range of normal numbers, where processors are a hundred times slower.
    """
    rounding = float(np.finfo(f"float{log_gain.dtype.precision}").eps)
    return math.maximum(log_gain, math.max(log_gain, basis.resolution.names) + 2.5 * np.log(rounding))
