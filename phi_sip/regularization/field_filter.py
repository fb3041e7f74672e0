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
from ..gaussian_process import KnownPrior, ModePrior, StateGrid
from ..spectral import SpectralBasis
from .gaussian_fields import GaussianFields
from .parameter_choice import ALPHA, FilterCurves, GeneralizedCrossValidation, ParameterChoice

COUNT = 120  # of parameters that are tried
ROWS, VALUES = batch("_rows"), spatial("_values")


@dataclass(frozen=True)
class WhiteFields(GaussianFields):
    """All modes alike, so that the directions of the observation are those of the singular values of J."""

    def priors(self, grid: StateGrid, state: Any) -> Iterable[ModePrior]:
        modes = grid.modes([False] * len(grid.axes))
        return [KnownPrior(modes, np.ones(int(np.prod(grid.sizes))))]

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
        noise: np.ndarray | None,
        rounding: float,
        epsilon: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Chooses α of each observation. Where σ is not known it is what cross-validation leaves.

        Args:
            squares: s², shape (values,).
            coefficients: ⟨u_i, y*⟩, shape (rows, values).
            unit: The largest s².
            noise: σ², shape (rows,), or `None`.
            rounding: How exact s² is, in units of the largest.
            epsilon: That of the floating point numbers of the observations.

        Returns:
            f, shape (rows, values); α, shape (rows,), in that unit; and σ², shape (rows,).

        Source: Wahba, "Bayesian Confidence Intervals for the Cross-Validated Smoothing Spline", J. R. Stat. Soc. B 45,
        1983, eq. 1.9 (σ).
        """
        with NUMPY, math.precision(64):
            log_gain = math.wrap(0.5 * np.log(np.maximum(squares / unit, rounding)), VALUES)
            power = math.wrap(coefficients**2, ROWS, VALUES)

            def curves(variance: Tensor) -> FilterCurves:
                alphas = math.wrap(np.linspace(2 * np.log(epsilon) + 4, 0.0, COUNT), ALPHA)
                factors = self.factors(log_gain, alphas)
                return FilterCurves(
                    alphas,
                    math.sum(power * (1 - factors) ** 2, VALUES),
                    math.sum(power * (factors * math.exp(-log_gain)) ** 2, VALUES) / unit,
                    math.sum(1 - factors, VALUES),
                    variance * len(squares),
                )

            variance = self._left(curves) if noise is None else math.wrap(noise, ROWS)
            log_alpha = math.expand(self.choice.log_alpha(lambda: curves(variance)), power.shape.batch)
            factors = math.expand(self.factors(log_gain, log_alpha), power.shape)
            variance = math.expand(variance, power.shape.batch)
            return factors.numpy("_rows,_values"), np.exp(log_alpha.numpy("_rows")), variance.numpy("_rows")

    def _left(self, curves: Callable[[Tensor], FilterCurves]) -> Tensor:
        """Computes ‖P(x_α) − y*‖² / Σ_i (1 − f_i) at the α of cross-validation."""
        whole = curves(math.wrap(0.0))
        chosen = GeneralizedCrossValidation().log_alpha(lambda: whole)
        nearest = math.to_float(abs(whole.log_alpha - chosen) == math.min(abs(whole.log_alpha - chosen), ALPHA))
        return math.sum(nearest * whole.residual, ALPHA) / math.sum(nearest * whole.freedom, ALPHA)
