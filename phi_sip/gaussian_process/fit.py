"""Which priors, and how much noise, an observation itself speaks for: its marginal likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from .response import Response, Spread

ROUNDING = 1e-13  # σ² in units of the largest variance of the signal, below which there is nothing but rounding
RATIOS = np.logspace(np.log10(ROUNDING), 3, 161)
NEGLIGIBLE = 1e-2  # weights below are 0


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """
    The priors that explain each of n observations, in the order of `Response.spreads`.

    Attributes:
        weights: How likely each is, shape (priors, n), of sum 1.
        amplitudes: A of each, shape (priors, n).
        variances: σ² of each, shape (priors, n).
    """

    weights: np.ndarray
    amplitudes: np.ndarray
    variances: np.ndarray

    @property
    def noise_variance(self) -> np.ndarray:
        """σ², shape (n,)."""
        mean: np.ndarray = (self.weights * self.variances).sum(0)
        return mean


def fitted(response: Response, values: np.ndarray, noise: np.ndarray | None = None) -> GaussianFit:
    """
    Fits amplitude A and noise σ² to each observation d, for each prior C, and weighs the priors by the evidence

        log p(d) = −½ dᵀ (A J C Jᵀ + σ² I)⁻¹ d − ½ log det (A J C Jᵀ + σ² I) − ½ n log 2π

    on a grid of ratios σ² / (A λ_max). For each ratio the likeliest A is known in closed form, or σ says it.

    Args:
        response: J, and the priors.
        values: d = y* − y₀, shape (n, values).
        noise: σ², shape (n,); `None`: fitted too. What is less than rounding counts as rounding.

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, section 5.4.1; averages over priors:
    Hoeting et al., "Bayesian Model Averaging: A Tutorial", 1999.
    """
    told = np.full(len(values), np.nan) if noise is None else noise
    scores, totals = zip(*(_scores(spread, values, told) for spread in response.spreads), strict=True)
    evidence = np.stack([logsumexp(score, axis=1) for score in scores])
    weights = np.exp(evidence - evidence.max(0))
    weights = np.where(weights < NEGLIGIBLE, 0.0, weights)
    best = np.stack([score.argmax(1) for score in scores])
    found = np.stack([np.take_along_axis(t, b[:, None], 1)[:, 0] for t, b in zip(totals, best, strict=True)])
    largest = np.array([spread.variances.max() for spread in response.spreads])
    return GaussianFit(weights / weights.sum(0), found / largest[:, None], found * RATIOS[best])


def _scores(spread: Spread, values: np.ndarray, told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes log p(d) and A λ_max for all ratios, both (n, ratios), from σ², which is NaN where it is not known."""
    count = len(spread.variances)
    relative = spread.variances / spread.variances.max() + RATIOS[:, None]  # (ratios, values)
    squares = (values @ spread.directions) ** 2 @ (1 / relative).T
    fitted = np.maximum(squares / count, np.finfo(float).tiny)
    is_rounding = told <= ROUNDING * (values**2).sum(1) + np.finfo(float).tiny
    is_told = ~np.isnan(told) & ~is_rounding
    total = np.where(is_told[:, None], told[:, None] / RATIOS, fitted)
    log_density = squares / total + count * np.log(2 * np.pi * total) + np.log(relative).sum(1)
    possible = ~is_rounding[:, None] | (RATIOS[0] == RATIOS)
    return np.where(possible, -0.5 * log_density, -np.inf), total
