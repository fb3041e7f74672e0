"""What linear physics that is diagonal in the eigenfunctions of the domain share."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import EMPTY_SHAPE, Shape, Tensor

from ..contract.noise import NoiseMeasurement
from ..contract.physics import Correction, InvertiblePhysics
from ..errors import UnsupportedError
from ..noise import NoiseLaw
from ..noise.base import NoisyObservation
from ..noise.resolve import check_std, resolve_law
from ..regularization import CrossValidated, Regularization
from ..regularization.arguments import check_rule, resolve_noise
from ..regularization.base import square
from ..regularization.noise import EmptyModes
from ..spectral import SpectralBasis
from ..spectral.steady_state import holds_values
from ..states import order, trees
from .spectral_inversion import SpectralInversion, SpectralResponse, seen


class SpectralPhysics(InvertiblePhysics):
    """
    Linear physics that multiplies each eigenfunction of the Laplacian by a number:

        F(y − w)_k = s_k h_k · F(x − v)_k,  h_k > 0,   s_k = ±1
        x̃ = x + F⁻¹(K_k · s_k F(y* − y)),   K_k → 1 / h_k where the observation holds signal

    with F the transform of the boundary condition, see `SpectralBasis`, and v, w what holds the boundary values in x
    and y. Subclasses are frozen dataclasses that have the fields below, say `_log_gain` and `_offsets`, and call
    `_check_noise_and_rule` when created.

    Attributes:
        noise_std: σ of the noise in y*, or how to measure it.
        regularization: Rule that decides K; `None`: `rule` decides.
        noise: How the noise is distributed; `None`: white and Gaussian.
        sees_constant: Whether y depends on the constant mode of x. Otherwise x and y have none, where the domain has
            such a mode.
    """

    sees_constant: ClassVar[bool] = True

    noise_std: float | Tensor | EmptyModes | str
    regularization: Regularization | None
    noise: NoiseLaw | str | None = None

    @abstractmethod
    def _log_gain(self, basis: SpectralBasis) -> Tensor:
        """Computes log h_k, finite in every mode, in the current precision."""

    def _sign(self, basis: SpectralBasis) -> float | Tensor:
        """Returns s: one number for all modes, or s_k in the current precision."""
        return 1.0

    @abstractmethod
    def _offsets(self, basis: SpectralBasis) -> tuple[Tensor, Tensor]:
        """Computes v and w per cell, which are used where a side is fixed to a number other than 0."""

    def _combination(self, log_gain: Tensor) -> tuple[Tensor, Tensor]:
        """Computes weights that make one observation of those along `_observations`, and its log gain."""
        return math.wrap(1.0), log_gain

    def _check_grid(self, field: Field) -> None:
        """Raises an error if a parameter does not fit the grid of `field`."""

    @property
    def _observations(self) -> Shape:
        """The dim along which y has several observations of one x."""
        return EMPTY_SHAPE

    @property
    def is_linear(self) -> bool:
        """True, as the physics multiplies modes by numbers."""
        return True

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """The rule, if one was given, and the noise law, if it is not that of white noise."""
        rule = {} if self.regularization is None else {"regularization": self.regularization}
        return rule if self.law.is_white else {**rule, "noise": self.noise}

    @property
    def rule_of_state(self) -> Regularization | None:
        return self.regularization

    @property
    def law(self) -> NoiseLaw:
        """How the noise is distributed."""
        return resolve_law(self.noise)

    @property
    def measures_noise(self) -> bool:
        """Whether `inverse` measures the noise in y*."""
        return isinstance(self.noise_std, NoiseMeasurement) and not self.law.fixes_std

    @property
    def rule(self) -> Regularization:
        """The regularization in use."""
        return self.regularization or CrossValidated()

    def forward(self, x: Field) -> Field:
        """
        Computes y = w + F⁻¹(s h · F(x − v)).

        Args:
            x: State as a `Field` on a uniform grid.

        Returns:
            Observation on the same grid.
        """
        basis = self._basis(x, "x")
        with math.precision(trees.precision_of(x)):
            gain = math.exp(self._log_gain(basis))
            normal = 1e8 * float(np.finfo(f"float{gain.dtype.precision}").tiny)  # products of less may not be normal
            gain = seen(self._sign(basis) * order.where(gain > normal, gain, 0.0), basis, self.sees_constant)

            def respond(values: Tensor) -> Tensor:
                return basis.inverse(gain * basis.transform(values))

            if not holds_values(basis):
                return trees.with_values(x, respond(x.values))
            before, after = self._offsets(basis)
            return trees.with_values(x, respond(x.values - before) + after)

    def inverse(self, y_target: Field, x: Field, y: Field) -> Correction:
        """
        Computes Δx = F⁻¹(K · s F(y_target − y)) with K from `rule`, as the noise law has it.

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
            response = self._response(basis)
            inversion = SpectralInversion(response, y_target, x, y, *self._offsets(basis))

            def explain(observation: Field, noise_std: Any) -> Correction:
                return dataclasses.replace(inversion, y_target=observation).correction(self.rule, noise_std)

            def simulate(dx: Field, observation: Field) -> Tensor:
                values = observation.values
                return self.forward(trees.add(x, dx)).values + (values - response.without_constant(values))

            noise_std = self._noise_std(y_target, basis)
            observation = NoisyObservation(y_target, noise_std, explain, simulate, self._alike(basis))
            return self.law.correction(observation)

    def _response(self, basis: SpectralBasis) -> SpectralResponse:
        """Returns how observations depend on the modes of x, in which the noise is white."""
        weights, log_gain = self._combination(self._log_gain(basis))
        log_power = self.law.log_power(basis)
        if log_power is not None:
            weights, log_gain = weights * math.exp(-0.5 * log_power), log_gain - 0.5 * log_power
        sign = self._sign(basis)
        is_positive = isinstance(sign, float) and sign > 0
        leaves_coefficients = is_positive and self.sees_constant and not self._observations and log_power is None
        weights = None if leaves_coefficients else seen(sign * weights, basis, self.sees_constant)
        return SpectralResponse(basis, log_gain, weights, self._observations, self.sees_constant, log_power)

    def _noise_std(self, y: Field, basis: SpectralBasis) -> float | Tensor | EmptyModes | str:
        """Returns σ, or how to measure it."""
        law = self.law
        return law.std(y.values, self._alike(basis)) if law.fixes_std else self.noise_std

    def _alike(self, basis: SpectralBasis) -> Shape:
        """Returns the dims over which the noise has one σ."""
        return basis.resolution & self._observations

    def add_noise(self, y: Field, normal: Any, known: Mapping[str, Any]) -> Field:
        """Returns y with noise of the kind that the noise law says."""
        basis, law = self._basis(y, "y"), self.law

        def noisy(values: Tensor, drawn: Tensor) -> Tensor:
            return values + law.sample(values, drawn, known, basis, self._alike(basis))

        with math.precision(trees.precision_of(y)):
            return trees.with_values(y, trees.tree_map(noisy, y.values, normal))

    @property
    def rules_see_observation_only(self) -> bool:
        return self.law.explains_once

    @property
    def has_white_noise(self) -> bool:
        return self.law.is_white

    def noise_energy(self, y: Field) -> Tensor | None:
        """Computes σ² times the number of values, where σ is given; `None` elsewhere."""
        if self.measures_noise:
            return None
        noise_std = self._noise_std(y, self._basis(y, "y"))
        return math.to_float(math.wrap(noise_std)) ** 2 * y.values.shape.non_batch.volume

    def sufficient_precision(self, y_target: Field) -> int:
        """
        Returns 32 bits where rounding to them, 4 ε rms(y*), adds less than a hundredth to the power σ² of white noise
        in every observation; else those of `y_target`. No precision helps to invert what is smaller than the noise.

        Args:
            y_target: Typical observations; σ is measured in them, unless given.
        """
        basis = self._basis(y_target, "y_target")
        if not self.law.is_white:
            return trees.precision_of(y_target)
        with math.precision(trees.precision_of(y_target)):
            response = self._response(basis)
            noise = response.noise(self.noise_std, lambda: response.coefficients(y_target.values))
            mean_square = math.mean(square(y_target.values), basis.resolution)
            rounding = 16 * float(np.finfo("float32").eps) ** 2 * mean_square
            enough = bool((rounding <= 0.01 * square(noise.std)).all)
        return 32 if enough else trees.precision_of(y_target)

    def constrain(self, x: Field, y_target: Field) -> Field:
        """Returns x with the mean that `_mean_of_state` says, for every component; x itself if a side is fixed."""
        basis = self._basis(x, "x")
        self._basis(y_target, "y_target")
        if not basis.conserves_mean:
            return x
        with math.precision(trees.precision_of(x)):
            mean = order.matched(self._mean_of_state(y_target, basis.resolution), x.values.shape)
            return trees.with_values(x, (mean - math.mean(x.values, basis.resolution)) + x.values)

    def initial_state(self, y_target: Field) -> Field:
        """Returns zero with the mean that y* says. A state has none of the dim along which there are observations."""
        values = 0 * y_target.values
        if self._observations:
            values = math.mean(values, self._observations)
        return self.constrain(y_target.with_values(values), y_target)

    def admissible(self, x: Field) -> Field:
        """Returns x without the values that the rule excludes, see `Regularization.admissible`."""
        return trees.with_values(x, self.rule.admissible(x.values))

    @abstractmethod
    def _mean_of_state(self, y_target: Field, cells: Shape) -> Tensor:
        """Computes the mean of x over `cells` where no side is fixed."""

    def _check_noise_and_rule(self) -> None:
        """
        Replaces `noise_std` and `noise` by what they stand for.

        Raises:
            ParameterError: if σ is out of range, or said twice, or `regularization` is no rule.
            UnknownNameError: if no plugin provides a noise law of that name.
            UnsupportedError: if `noise` is no noise law.
        """
        owner = type(self).__name__
        object.__setattr__(self, "noise_std", resolve_noise(owner, self.noise_std))
        if isinstance(self.noise, str):
            object.__setattr__(self, "noise", resolve_law(self.noise))
        check_std(owner, self.law, self.noise_std, type(self).noise_std)
        check_rule(owner, self.regularization)

    def _basis(self, field: Field, name: str) -> SpectralBasis:
        """
        Returns the basis of the grid of `field`.

        Raises:
            UnsupportedError: if `field` is no `Field` on a uniform grid.
        """
        if not isinstance(field, Field) or not field.is_grid:
            raise UnsupportedError(
                f"{type(self).__name__} needs {name} as a Field on a uniform grid, which knows its cell size and "
                f"boundary, but got {type(field).__name__}. Make one with CenteredGrid(values, "
                f"extrapolation.PERIODIC, bounds=...)."
            )
        self._check_grid(field)
        return SpectralBasis.of(field)
