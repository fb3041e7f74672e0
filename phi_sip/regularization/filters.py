"""Families of spectral filters with one parameter."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..errors import ParameterError
from ..states import order
from .base import Regularization, SpectralEstimate, SpectralProblem, square
from .field_filter import FieldFilter, WhiteFields
from .field_prior import FieldPrior
from .parameter_choice import ALPHA, FilterCurves, GeneralizedCrossValidation, GivenParameter, ParameterChoice


@dataclass(frozen=True)
class SpectralFilter(Regularization):
    """
    x̃̂_k = f_k(α) / h_k · â_k with filter factors 0 ≤ f_k ≤ 1; the constant has f_0 = 1.

    The uncertainty is the spread that the noise causes, √(Σ_k (f_k / h_k)² σ²) per cell; the bias is not part of it.

    Attributes:
        parameter: α in units of the largest h², or how to choose it.
    """

    parameter: float | ParameterChoice = field(default_factory=GeneralizedCrossValidation)

    def __post_init__(self) -> None:
        if not isinstance(self.parameter, (int, float, ParameterChoice)) or isinstance(self.parameter, bool):
            raise ParameterError(
                f"{type(self).__name__}: parameter is a {type(self.parameter).__name__}. Give α > 0 as a number, or "
                f"GeneralizedCrossValidation(), DiscrepancyPrinciple() or LCurve()."
            )
        _ = self.choice

    @property
    def choice(self) -> ParameterChoice:
        """How α is chosen."""
        return self.parameter if isinstance(self.parameter, ParameterChoice) else GivenParameter(self.parameter)

    @property
    def field_prior(self) -> FieldPrior:
        return FieldPrior(filter=FieldFilter(self.factors, self.choice), gaussian=WhiteFields())

    @abstractmethod
    def factors(self, log_gain: Tensor, log_alpha: Tensor) -> Tensor:
        """Computes f_k(α) for gains in units of the largest."""

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        flat = problem.is_constant
        log_gain = problem.log_gain - problem.log_unit
        log_alpha = self.choice.log_alpha(lambda: self._curves(problem, log_gain, flat))
        kernel = (self.factors(log_gain, log_alpha) * (1 - flat) + flat) * _inverse(log_gain, log_alpha, flat)
        kernel = kernel * math.exp(-problem.log_unit)

        return SpectralEstimate(
            problem.target * kernel,
            stats={"kernel": kernel, "alpha": math.exp(log_alpha)},
            mode_variance=lambda: square(kernel) * problem.noise_power,
        )

    def _curves(self, problem: SpectralProblem, log_gain: Tensor, flat: Tensor) -> FilterCurves:
        alphas = math.to_float(math.wrap(np.linspace(2 * np.log(problem.rounding_unit) + 4, 0.0, 120), ALPHA))
        factors = self.factors(log_gain, alphas) * (1 - flat) + flat
        weights = problem.basis.multiplicity() * (1 - flat)
        observed = problem.power * math.exp(-2 * problem.log_unit)
        sizes = problem.basis.resolution.names
        return FilterCurves(
            alphas,
            _contract(observed, weights * (1 - factors) ** 2, sizes),
            _contract(observed, weights * (factors * _inverse(log_gain, alphas, flat)) ** 2, sizes),
            math.sum(weights * (1 - factors), sizes),
            problem.noise_power * math.exp(-2 * problem.log_unit) * math.sum(weights, sizes),
        )


def _inverse(log_gain: Tensor, log_alpha: Tensor, flat: Tensor) -> Tensor:
    """Computes 1 / h_k, cut off far below √α, where every filter is 0, so that it stays finite."""
    return math.exp(-math.maximum(log_gain, (log_alpha / 2 - 40) * (1 - flat) + log_gain * flat))


def _contract(observed: Tensor, weights: Tensor, modes: tuple[str, ...]) -> Tensor:
    """Computes Σ_k observed_k weights_k, as a matrix product where no other dim is shared."""
    if not weights.shape.batch:
        return math.dot(order.in_order_of(observed, weights.shape), modes, weights, modes)  # which goes by position
    return math.sum(observed * weights, modes)
