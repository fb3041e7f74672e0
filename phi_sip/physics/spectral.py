"""What linear physics that is diagonal in the eigenfunctions of the domain share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import EMPTY_SHAPE, Shape, Tensor, expand

from ..contract.physics import Correction, InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..regularization import CrossValidated, Regularization, SpectralProblem
from ..regularization.base import power, square
from ..regularization.noise import EmptyModes, NoiseEstimate, resolve_noise
from ..spectral import SpectralBasis
from ..spectral.steady_state import holds_values
from ..states import order, trees


class SpectralPhysics(InvertiblePhysics):
    """
    Linear physics that multiplies each eigenfunction of the Laplacian by a number:

        F(y − w)_k = s h_k · F(x − v)_k,   h_k > 0,   s = ±1
        x̃ = x + F⁻¹(K_k · s F(y* − y)),    K_k → 1 / h_k where the observation holds signal

    with F the transform of the boundary condition, see `SpectralBasis`, and v, w what holds the boundary values in x
    and y. Subclasses are frozen dataclasses that have the fields below, say `_log_gain` and `_offsets`, and call
    `_check_noise_and_rule` when created.

    Attributes:
        noise_std: σ of white noise in y*, or how to measure it.
        regularization: Rule that decides K; `None`: `rule` decides.
        sign: s.
        sees_constant: Whether y depends on the constant mode of x. Otherwise x and y have none, where the domain has
            such a mode.
    """

    sign: ClassVar[float] = 1.0
    sees_constant: ClassVar[bool] = True

    noise_std: float | Tensor | EmptyModes | str
    regularization: Regularization | None

    @abstractmethod
    def _log_gain(self, basis: SpectralBasis) -> Tensor:
        """log h_k, finite in every mode, in the current precision."""

    @abstractmethod
    def _offsets(self, basis: SpectralBasis) -> tuple[Tensor, Tensor]:
        """v and w per cell; used where a side is fixed to a number other than 0."""

    def _combination(self, log_gain: Tensor) -> tuple[Tensor, Tensor]:
        """Weights that make one observation of those along `_observations`, and its log gain."""
        return math.wrap(1.0), log_gain

    def _check_grid(self, field: Field) -> None:
        """Raises an error if a parameter does not fit the grid of `field`."""

    @property
    def _observations(self) -> Shape:
        """The dim along which y has several observations of one x."""
        return EMPTY_SHAPE

    @property
    def is_linear(self) -> bool:
        """Yes."""
        return True

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """The rule, if one was given."""
        return {} if self.regularization is None else {"regularization": self.regularization}

    @property
    def rule(self) -> Regularization:
        """The regularization in use."""
        return self.regularization or CrossValidated()

    def forward(self, x: Field) -> Field:
        """
        y = w + F⁻¹(s h · F(x − v)).

        Args:
            x: State as a `Field` on a uniform grid.

        Returns:
            Observation on the same grid.
        """
        basis = self._basis(x, "x")
        with math.precision(trees.precision_of(x)):
            gain = math.exp(self._log_gain(basis))
            gain = self._seen(self.sign * math.where(gain > _smallest_factor(gain), gain, 0.0), basis)

            def respond(values: Tensor) -> Tensor:
                return basis.inverse(basis.transform(values) * gain)

            if not holds_values(basis):
                return trees.with_values(x, respond(x.values))
            before, after = self._offsets(basis)
            return trees.with_values(x, respond(x.values - before) + after)

    def inverse(self, y_target: Field, x: Field, y: Field) -> Correction:
        """
        Δx = F⁻¹(K · s F(y_target − y)) with K from `rule`; x itself does not matter, as the physics is linear.

        Args:
            y_target: Observation to be explained.
            x: State to be corrected.
            y: `forward(x)`.

        Returns:
            `Correction` with `stats`: those of the rule, e.g. `kernel` K per kept mode, `noise_std` per cell as
            reckoned with, and `log_gain` log h.
        """
        basis = self._basis(y_target, "y_target")
        with math.precision(trees.precision_of(y_target)):
            return self._invert(basis, y_target, x, y)

    def _invert(self, basis: SpectralBasis, y_target: Field, x: Field, y: Field) -> Correction:
        before, after = self._offsets(basis)
        weights, log_gain = self._combination(self._log_gain(basis))
        is_one = self.sign == 1 and self.sees_constant and not self._observations  # and leaves coefficients alone

        cells = basis.resolution.names

        def combined(values: Tensor) -> Tensor:
            found = basis.transform(values)
            return found if is_one else math.sum(self._seen(self.sign * weights, basis) * found, self._observations)

        def lifted(values: Tensor, offset: Tensor) -> Tensor:
            return values - offset if holds_values(basis) else values

        def mean_square() -> Tensor:
            if self._leaves_coefficients:
                values = lifted(y_target.values, after)
                return math.dot(values, cells, values, cells) / basis.resolution.volume
            return basis.sum(problem.power) / basis.resolution.volume

        @cache
        def target() -> Tensor:
            return combined(lifted(y_target.values, after))

        noise = self._noise(target, log_gain, basis)
        problem = SpectralProblem(
            target,
            lambda: self._seen(basis.transform(lifted(x.values, before)), basis),
            lambda: combined(y_target.values - y.values),
            mean_square,
            _without_dead_modes(log_gain, basis),
            noise.std,
            basis,
            before,
        )
        estimate = self.rule.estimate(problem)
        dx = basis.inverse(estimate.coefficients)
        if not estimate.is_correction:
            dx = dx - self._without_constant(lifted(x.values, before), basis)
        stats = {
            "noise_std": noise.std,
            "noise_relative_error": noise.relative_error,
            "noise_known": noise.known,
            "log_gain": log_gain,
            **estimate.stats,
        }
        return Correction(trees.with_values(x, dx), _deviation(x, basis, estimate.variance), stats)

    @property
    def _leaves_coefficients(self) -> bool:
        """Whether `_combined` is nothing but the transform."""
        return self.sign == 1 and self.sees_constant and not self._observations

    def _combined(self, values: Tensor, basis: SpectralBasis) -> Tensor:
        """Coefficients of observations, several of one state made one, with the sign of a positive gain."""
        found = basis.transform(values)
        if self._leaves_coefficients:
            return found
        weights, _ = self._combination(self._log_gain(basis))
        return math.sum(self._seen(self.sign * weights, basis) * found, self._observations)

    def _without_constant(self, values: Tensor, basis: SpectralBasis) -> Tensor:
        """Values per cell less their constant mode, if y does not depend on it."""
        if self.sees_constant or not basis.conserves_mean:
            return values
        return values - math.mean(values, basis.resolution)

    def noise_energy(self, y: Field) -> Tensor | None:
        """σ² times the number of values, where σ is given."""
        if self.measures_noise:
            return None
        return math.to_float(math.wrap(self.noise_std)) ** 2 * y.values.shape.non_batch.volume

    def sufficient_precision(self, y_target: Field) -> int:
        """
        32 bits where rounding to them, 4 ε rms(y*), adds less than a hundredth to the power σ² of the noise in every
        observation; else those of `y_target`. What is smaller than the noise cannot be inverted in any precision.

        Args:
            y_target: Typical observations; σ is measured in them, unless given.
        """
        basis = self._basis(y_target, "y_target")
        with math.precision(trees.precision_of(y_target)):
            _, log_gain = self._combination(self._log_gain(basis))
            noise = self._noise(lambda: self._combined(y_target.values, basis), log_gain, basis)
            mean_square = math.mean(square(y_target.values), basis.resolution)
            rounding = 16 * float(np.finfo("float32").eps) ** 2 * mean_square
            enough = bool((rounding <= 0.01 * square(noise.std)).all)
        return 32 if enough else trees.precision_of(y_target)

    def constrain(self, x: Field, y_target: Field) -> Field:
        """x with the mean that `_mean_of_state` says, for every component; x itself if a side is fixed."""
        basis = self._basis(x, "x")
        self._basis(y_target, "y_target")
        if not basis.conserves_mean:
            return x
        cells = basis.resolution
        with math.precision(trees.precision_of(x)):
            mean = order.matched(self._mean_of_state(y_target, cells), x.values.shape)
            return trees.with_values(x, x.values + (mean - math.mean(x.values, cells)))

    @abstractmethod
    def _mean_of_state(self, y_target: Field, cells: Shape) -> Tensor:
        """The mean of x over `cells` where no side is fixed."""

    def _check_noise_and_rule(self) -> None:
        """Replaces `noise_std` by what it stands for. Raises `ParameterError` if it or the rule is of no use."""
        owner = type(self).__name__
        object.__setattr__(self, "noise_std", resolve_noise(owner, self.noise_std))
        if self.regularization is not None and not isinstance(self.regularization, Regularization):
            raise ParameterError(
                f"{owner}: regularization is a {type(self.regularization).__name__}. Give an object such as "
                f"EmpiricalBayes() or TotalVariation()."
            )

    def _seen(self, per_mode: Tensor, basis: SpectralBasis) -> Tensor:
        """What is given per mode, 0 where y does not depend on it."""
        return per_mode if self.sees_constant else per_mode * math.to_float(1 - basis.is_constant)

    def _noise(self, target: Callable[[], Tensor], log_gain: Tensor, basis: SpectralBasis) -> NoiseEstimate:
        if isinstance(self.noise_std, EmptyModes):
            return self.noise_std.estimate(power(target()), log_gain, basis)
        given = math.to_float(math.wrap(self.noise_std))
        return NoiseEstimate(given, given * 0, given >= 0)

    def _basis(self, field: Field, name: str) -> SpectralBasis:
        """The basis of the grid of `field`, after checks."""
        if not isinstance(field, Field) or not field.is_grid:
            raise UnsupportedError(
                f"{type(self).__name__} needs {name} as a Field on a uniform grid, which knows its cell size and "
                f"boundary, but got {type(field).__name__}. Make one with CenteredGrid(values, "
                f"extrapolation.PERIODIC, bounds=...)."
            )
        self._check_grid(field)
        return SpectralBasis.of(field)


def _without_dead_modes(log_gain: Tensor, basis: SpectralBasis) -> Tensor:
    """
    log h, no less than log ε^2.5 h_max: a mode is lost in rounding long before. What is computed from smaller gains
    leaves the range of normal numbers, where processors are a hundred times slower.
    """
    rounding = float(np.finfo(f"float{log_gain.dtype.precision}").eps)
    return math.maximum(log_gain, math.max(log_gain, basis.resolution.names) + 2.5 * np.log(rounding))


def _smallest_factor(like: Tensor) -> float:
    """Products of anything less may leave the range of normal numbers."""
    return float(np.finfo(f"float{like.dtype.precision}").tiny) * 1e8


def _deviation(x: Field, basis: SpectralBasis, variance: Callable[[], Tensor] | None) -> Callable[[], Field] | None:
    if variance is None:
        return None
    return lambda: trees.with_values(x, expand(math.sqrt(variance()), basis.resolution))
