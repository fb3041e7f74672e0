"""Filters of singular values, for fields that no closed form inverts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.backend import NUMPY
from phiml.math import Tensor, batch, spatial

from ..errors import BoundaryError
from ..gaussian_process import ModePrior, Prior, StateGrid
from ..spectral import SpectralBasis
from .gaussian_fields import GaussianFields
from .parameter_choice import ALPHA, FilterCurves, ParameterChoice

COUNT = 120  # of parameters that are tried
LEAST = 0.5  # of what noise leaves on average
ROWS, VALUES = batch("_rows"), spatial("_values")


@dataclass(frozen=True)
class WhiteFields(GaussianFields):
    """All modes alike, so that the directions of the observation are those of the singular values of J."""

    def priors(self, grid: StateGrid, state: Any) -> Iterable[ModePrior]:
        return [Prior(grid.modes([False] * len(grid.axes)), exponent=0.0, scale=1.0)]

    def frees_constant(self, state: Any) -> bool:
        """Tells whether no side is fixed. The constant has no prior then, as in closed forms."""
        with suppress(BoundaryError):
            return not isinstance(state, Field) or SpectralBasis.of(state).conserves_mean
        return True


@dataclass(frozen=True)
class FieldFilter:
    """
    x̃ = Σ_i f_i(α) / s_i ⟨u_i, y*⟩ v_i, with the singular values s_i of J in place of the gains of a closed form.

    Attributes:
        factors: Computes f for log gains, in units of the largest, and log α.
        choice: How α is chosen.
    """

    factors: Callable[[Tensor, Tensor], Tensor]
    choice: ParameterChoice

    def chosen(
        self,
        squares: np.ndarray,
        coefficients: np.ndarray,
        unit: float,
        noise: np.ndarray,
        rounding: float,
        epsilon: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Chooses α of each observation. Where few values are observed, hardly anything may be left by chance of those
        that are not followed: at least half of what noise leaves on average, σ² Σ_i (1 − f_i)², counts as left.

        Args:
            squares: s², shape (values,).
            coefficients: ⟨u_i, y*⟩, shape (rows, values).
            unit: The largest s².
            noise: σ², shape (rows,).
            rounding: How exact s² is, in units of the largest.
            epsilon: That of the floating point numbers of the observations.

        Returns:
            f, shape (rows, values), and α, shape (rows,), in that unit.
        """
        with NUMPY, math.precision(64):
            log_gain = math.wrap(0.5 * np.log(np.maximum(squares / unit, rounding)), VALUES)
            power, variance = math.wrap(coefficients**2, ROWS, VALUES), math.wrap(noise, ROWS)

            def curves() -> FilterCurves:
                alphas = math.wrap(np.linspace(2 * np.log(epsilon) + 4, 0.0, COUNT), ALPHA)
                factors = self.factors(log_gain, alphas)
                left = math.sum(power * (1 - factors) ** 2, VALUES)
                return FilterCurves(
                    alphas,
                    math.maximum(left, LEAST * variance * math.sum((1 - factors) ** 2, VALUES)),
                    math.sum(power * (factors * math.exp(-log_gain)) ** 2, VALUES) / unit,
                    math.sum(1 - factors, VALUES),
                    variance * len(squares),
                )

            log_alpha = math.expand(self.choice.log_alpha(curves), power.shape.batch)
            factors = math.expand(self.factors(log_gain, log_alpha), power.shape)
            return factors.numpy("_rows,_values"), np.exp(log_alpha.numpy("_rows"))
