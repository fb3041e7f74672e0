"""The state, and what is not known of it, given the observation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .fit import GaussianFit
from .response import Response, Spread


@dataclass(frozen=True, eq=False)
class Posterior:
    """
    Mean and variance of x given d = J x + n, of each prior C and of all, weighted by their evidence w:

        x̂_C = C Jᵀ (J C Jᵀ + σ²/A I)⁻¹ d,   Var_C x = A diag(C − C Jᵀ (J C Jᵀ + σ²/A I)⁻¹ J C)
        x̂ = Σ_C w_C x̂_C,                    Var x = Σ_C w_C (Var_C x + (x̂_C − x̂)²)

    Args:
        response: J, and the priors.
        fit: How much each prior counts.
        values: d, shape (n, values).

    Attributes:
        mean: x̂, shape (n, columns).

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, eqs. 2.23–2.24.
    """

    response: Response
    fit: GaussianFit
    values: np.ndarray
    mean: np.ndarray

    @staticmethod
    def of(response: Response, fit: GaussianFit, values: np.ndarray) -> Posterior:
        """Computes the posterior of observations d, shape (n, values)."""
        mean = np.zeros((len(values), response.rows.shape[1]))
        made = Posterior(response, fit, values, mean)
        for part in made._parts():
            mean[part.rows] += part.weights * made._mean(part)
        return made

    def variance(self) -> np.ndarray:
        """Computes the variance of x, shape (n, columns)."""
        found = np.zeros_like(self.mean)
        for part in self._parts():
            prior = part.spread.prior
            explained = (part.spread.directions.T @ prior.apply(self.response.rows)) ** 2
            left = np.maximum(prior.variance() - part.gains @ explained, 0.0)
            apart = (self._mean(part) - self.mean[part.rows]) ** 2
            found[part.rows] += part.weights * (part.amplitudes * left + apart)
        return found

    def _mean(self, part: _Part) -> np.ndarray:
        """Computes x̂_C."""
        spread = part.spread
        weighted = (self.values[part.rows] @ spread.directions) * part.gains
        return spread.prior.apply(weighted @ spread.directions.T @ self.response.rows)

    def _parts(self) -> Iterator[_Part]:
        """Yields the priors that count, each with the observations for which it does."""
        fit = self.fit
        for i, spread in enumerate(self.response.spreads):
            rows = np.flatnonzero(fit.weights[i])
            if len(rows):
                weights, amplitudes, variances = (
                    values[i, rows, None] for values in (fit.weights, fit.amplitudes, fit.variances)
                )
                yield _Part(spread, rows, weights, amplitudes, 1 / (spread.variances + variances / amplitudes))


@dataclass(frozen=True, eq=False)
class _Part:
    """
    One prior, and the observations for which it counts.

    Attributes:
        spread: The prior.
        rows: Which observations, shape (m,).
        weights: How much it counts, shape (m, 1).
        amplitudes: A, shape (m, 1).
        gains: 1 / (λ + σ²/A), shape (m, values).
    """

    spread: Spread
    rows: np.ndarray
    weights: np.ndarray
    amplitudes: np.ndarray
    gains: np.ndarray
