"""The state, and what is not known of it, given the observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .fit import Explanation
from .response import Response, Spread

SLIGHT = 1e-3  # part of the deviation between ratios that is left out


@dataclass(frozen=True, eq=False)
class Posterior:
    """
    Mean and variance of x given d = J x + n, for each prior C and ratio σ²/A, and over all, weighted by evidence w:

        x̂_i = C Jᵀ (J C Jᵀ + σ²/A I)⁻¹ d,   Var_i x = A diag(C − C Jᵀ (J C Jᵀ + σ²/A I)⁻¹ J C)
        x̂ = Σ_i w_i x̂_i,                    Var x = Σ_i w_i (Var_i x + (x̂_i − x̂)²)

    and, of constants that have no prior, what the values say of them, see `Constants`.

    Attributes:
        response: J, and what has no prior.
        explanations: What counts, and how much.
        values: d, shape (n, values).
        mean: x̂, shape (n, columns).

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, eqs. 2.23–2.24.
    """

    response: Response
    explanations: Sequence[Explanation]
    values: np.ndarray
    mean: np.ndarray

    @staticmethod
    def of(response: Response, explanations: Sequence[Explanation], values: np.ndarray) -> Posterior:
        """Computes the posterior of observations d, shape (n, values), from what `fitted` returned."""
        without_others = replace(response, spreads=())  # which need not be kept
        found = Posterior(without_others, explanations, values, np.zeros((len(values), response.rows.shape[1])))
        for one in explanations:
            found.mean[one.rows] += one.weights * found._mean(one)
        return found

    @property
    def noise_variance(self) -> np.ndarray:
        """σ², shape (n,)."""
        found = np.zeros((len(self.values), 1))
        for one in self.explanations:
            found[one.rows] += one.weights * one.noise_variance
        return found[:, 0]

    def followed(self) -> np.ndarray:
        """Computes how many values x̂ follows, apart from constants, the trace of J C Jᵀ (J C Jᵀ + σ²/A I)⁻¹, (n,)."""
        found = np.zeros((len(self.values), 1))
        for one in self.explanations:
            found[one.rows] += one.weights * (one.shares @ (one.gains @ one.spread.variances))[:, None]
        return found[:, 0]

    def variance(self) -> np.ndarray:
        """Computes the variance of x, shape (n, columns)."""
        found, constants = np.zeros_like(self.mean), self.response.constants
        for one in self.explanations:
            explained = self._state(one.spread, np.eye(len(one.spread.variances))) ** 2
            scaled = one.shares * one.amplitudes
            before = scaled.sum(1, keepdims=True) * constants.variance_without(one.spread.prior)
            left = before - (scaled @ one.gains) @ explained + one.noise_variance * constants.variance()
            apart = (self._mean(one) - self.mean[one.rows]) ** 2 + self._between_ratios(one)
            found[one.rows] += one.weights * (np.maximum(left, 0.0) + apart)
        return found

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """
        Draws states of the posterior, shape (n, count, columns): of the prior, x_s, moved by what is observed of it,

            x = x_s + C Jᵀ (J C Jᵀ + σ²/A I)⁻¹ (d − J x_s − n_s)

        and, as the mean is, with the constants that d − n_s says.

        Source: Wilson et al., "Efficiently Sampling Functions from Gaussian Process Posteriors", ICML 2020, eq. 10.
        """
        found = np.empty((len(self.values), count, self.mean.shape[1]))
        weights = np.zeros((len(self.explanations), len(self.values)))
        for i, one in enumerate(self.explanations):
            weights[i, one.rows] = one.weights[:, 0]
        for row, own in enumerate(weights.T):
            chosen = rng.choice(len(own), count, p=own / own.sum())
            for i in np.unique(chosen):
                found[row, chosen == i] = self._drawn_of(self.explanations[i], row, int((chosen == i).sum()), rng)
        return found

    def _drawn_of(self, one: Explanation, row: int, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws states of one observation by one prior."""
        place = int(np.flatnonzero(one.rows == row)[0])
        ratio = rng.choice(len(one.ratios), count, p=one.shares[place])
        size = np.sqrt(one.amplitudes[place, ratio])[:, None]
        states = size * one.spread.prior.draw(count, rng)
        noise = size * np.sqrt(one.ratios[ratio])[:, None] * rng.standard_normal((count, self.values.shape[1]))
        values = self.values[row] - noise
        left = values - states @ self.response.rows.T
        moved = self._state(one.spread, (left @ one.spread.directions) * one.gains[ratio])
        drawn: np.ndarray = self.response.constants.added(states, values) + moved
        return drawn

    def _mean(self, one: Explanation) -> np.ndarray:
        """Computes x̂ of one prior, averaged over ratios."""
        field = self._state(one.spread, self._directions(one) * (one.shares @ one.gains))
        return self.response.constants.added(field, self.values[one.rows])

    def _between_ratios(self, one: Explanation) -> np.ndarray:
        """Computes the variance of x̂ of one prior between ratios, by the principal directions of its coefficients."""
        found = np.zeros((len(one.rows), self.mean.shape[1]))
        for i, (shares, direction) in enumerate(zip(one.shares, self._directions(one), strict=True)):
            counts = shares > SLIGHT**2 * shares.max()
            apart = np.sqrt(shares[counts, None]) * (one.gains[counts] - shares @ one.gains) * direction
            _, sizes, principal = np.linalg.svd(apart, full_matrices=False)
            kept = sizes >= SLIGHT * sizes[0]
            found[i] = (self._state(one.spread, sizes[kept, None] * principal[kept]) ** 2).sum(0)
        return found

    def _directions(self, one: Explanation) -> np.ndarray:
        """Computes Vᵀ d, shape (m, values)."""
        coefficients: np.ndarray = self.values[one.rows] @ one.spread.directions
        return coefficients

    def _state(self, spread: Spread, coefficients: np.ndarray) -> np.ndarray:
        """Computes C Jᵀ V c for rows c, without the constants in it."""
        return self.response.constants.added(
            spread.prior.apply(coefficients @ spread.directions.T @ self.response.rows)
        )
