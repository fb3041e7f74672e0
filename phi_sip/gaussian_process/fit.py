"""Which priors, and how much noise, an observation itself speaks for: its marginal likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from .response import Response, Spread

RATIOS = 161  # of σ² to the largest variance of the signal, from what rounding makes to MOST
MOST = 1e3
NEGLIGIBLE = 1e-2  # priors that are less likely than this, in units of the likeliest, do not count


@dataclass(frozen=True, eq=False)
class Explanation:
    """
    One prior, as far as it explains some of the observations.

    Attributes:
        spread: The prior.
        rows: Which observations, shape (m,).
        weights: How likely the prior is, shape (m, 1).
        shares: How likely each ratio is then, shape (m, ratios), of sum 1.
        amplitudes: A for each ratio, shape (m, ratios).
        ratios: σ²/A, shape (ratios,).
    """

    spread: Spread
    rows: np.ndarray
    weights: np.ndarray
    shares: np.ndarray
    amplitudes: np.ndarray
    ratios: np.ndarray

    @property
    def gains(self) -> np.ndarray:
        """1 / (λ + σ²/A) for each ratio, shape (ratios, values)."""
        gains: np.ndarray = 1 / (self.spread.variances + self.ratios[:, None])
        return gains

    @property
    def noise_variance(self) -> np.ndarray:
        """σ², shape (m, 1)."""
        mean: np.ndarray = (self.shares * self.amplitudes * self.ratios).sum(1, keepdims=True)
        return mean


def fitted(
    response: Response, values: np.ndarray, noise: np.ndarray | None = None, rounding: float = 1e-13
) -> Sequence[Explanation]:
    """
    Weighs the priors C of each observation d, and ratios σ²/A, by the marginal likelihood

        log p(d) = −½ dᵀ (A J C Jᵀ + σ² I)⁻¹ d − ½ log det (A J C Jᵀ + σ² I) − ½ n log 2π

    of what is observed apart from constants. For each ratio the likeliest A is known in closed form, or σ says it, or
    the prior. Where both are known, so is the ratio.

    Args:
        response: J, and the priors.
        values: d = y* − y₀, shape (n, values).
        noise: σ², shape (n,); `None`: fitted too. What is less than rounding counts as rounding.
        rounding: Least σ², in units of the largest variance of the signal.

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, section 5.4.1; averages over models:
    Hoeting et al., "Bayesian Model Averaging: A Tutorial", 1999.
    """
    told = np.full(len(values), np.nan) if noise is None else noise
    scores = [_scores(spread, values, told, rounding) for spread in response.spreads]
    evidence = np.stack([logsumexp(score, axis=1) for score, *_ in scores])
    likely = np.exp(evidence - evidence.max(0))
    likely = np.where(likely < NEGLIGIBLE, 0.0, likely)
    weights = likely / likely.sum(0)
    found = []
    for i, (spread, (score, totals, relative)) in enumerate(zip(response.spreads, scores, strict=True)):
        rows = np.flatnonzero(weights[i])
        if len(rows):
            shares = np.exp(score[rows] - evidence[i, rows, None])
            largest = spread.variances.max()
            found.append(
                Explanation(spread, rows, weights[i, rows, None], shares, totals[rows] / largest, relative * largest)
            )
    return found


def _scores(
    spread: Spread, values: np.ndarray, told: np.ndarray, rounding: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Computes log p(d) and A λ_max for all ratios, both (n, ratios), and the ratios, in units of λ_max, from σ², which is
    NaN where it is not known.
    """
    relative = np.logspace(np.log10(rounding), np.log10(MOST), RATIOS)
    coefficients = (values @ spread.directions) ** 2
    is_rounding = told <= rounding * coefficients.sum(1) + np.finfo(float).tiny
    is_told = ~np.isnan(told) & ~is_rounding
    amplitude = spread.prior.amplitude
    if amplitude is None:
        own = np.where(is_rounding, relative[0], np.nan)
    else:
        own = np.maximum(told / (amplitude * spread.variances.max()), rounding)
        relative = relative if np.isnan(told).any() else np.unique(own)
    count = len(spread.variances)
    spectrum = spread.variances / spread.variances.max() + relative[:, None]  # (ratios, values)
    squares = coefficients @ (1 / spectrum).T
    if amplitude is None:
        fitted = np.maximum(squares / count, np.finfo(float).tiny)
        total = np.where(is_told[:, None], told[:, None] / relative, fitted)
    else:
        total = np.full_like(squares, amplitude * spread.variances.max())
    log_density = squares / total + count * np.log(2 * np.pi * total) + np.log(spectrum).sum(1)
    possible = np.isnan(own)[:, None] | (relative == own[:, None])
    return np.where(possible, -0.5 * log_density, -np.inf), total, relative
