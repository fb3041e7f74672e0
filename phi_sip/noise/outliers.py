"""Noise with outliers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.math import Shape, Tensor

from ..spectral import SpectralBasis
from ..states import order
from ..states.parameters import as_tensor
from .base import STD, positive
from .cellwise import CellWeights, CellwiseLaw

MEAN_SIZE = float(np.sqrt(2 / np.pi))  # mean |n| / σ of normal noise
THRESHOLD, SCALINGS = 1.345, 3  # of Huber's weights
FITS = 10  # steps of expectation–maximization
FIRST = 0.5, 5.0, 0.05  # σ, σ' and f from which they are fitted, in units of the mean size
LEAST_RATIO = 3.0  # σ' / σ: less is no outlier
FRACTIONS = 1e-3, 0.5
FRACTION, OUTLIER_STD = "outlier_fraction", "outlier_std"
DIGITS = 997.0  # the digits of a normal number after its third are as good as a uniform one of their own


@dataclass(frozen=True)
class Outliers(CellwiseLaw):
    """
    White noise with outliers, a mixture that is measured in each observation:

        n_i ~ N(0, σ²) with the probability 1 − f,   N(0, σ'²) with the probability f

    σ, σ' and f are fitted to what x leaves unexplained, y* − P(x), by expectation–maximization, each time that x is
    found anew; with q_i the probability that cell i is no outlier,

        1 / σ_i² = q_i / σ² + (1 − q_i) / σ'²

    In the first half of the iterations, while x is still far from what it will be, weights are Huber's in place of
    that, W = min(1, 1.345 σ / |y* − P(x)|), which judge less harshly. Where the mixture is not evident, its log
    likelihood not above that of a normal distribution by log N for N cells, or σ' below the root mean square of all
    noise, which the physics knows as `noise_std`, the noise counts as white. How observations with it are inverted: see
    `CellwiseLaw`. `stats` hold σ as `noise_std`, f as `outlier_fraction` and σ' as `outlier_std`.

    Args:
        iterations: How many times an observation is explained after the first.

    Raises:
        ParameterError: if `iterations` is out of range.

    Source: Tukey, "A Survey of Sampling from Contaminated Distributions", 1960 (the mixture); Dempster, Laird, Rubin,
    "Maximum Likelihood from Incomplete Data via the EM Algorithm", 1977, section 4.3; Huber, "Robust Estimation of a
    Location Parameter", 1964 (his weights); Schwarz, "Estimating the Dimension of a Model", 1978 (what is evident, for
    two parameters more).
    """

    name: ClassVar[str] = "outliers"

    iterations: int = 4

    def weights(self, observed: Tensor, predicted: Tensor, std: Tensor, alike: Shape, iteration: int) -> CellWeights:
        residual = observed - predicted
        cells = residual.shape.only(alike)
        unit = positive(math.mean(abs(residual), cells) / MEAN_SIZE)
        squares = (residual / unit) ** 2
        if iteration < self.iterations // 2:
            weight, narrow = _huber(squares, cells)
            return CellWeights(weight, narrow * unit)
        mixture = _mixture(squares, cells)
        evident = mixture.log_likelihood_ratio(squares, cells) > float(np.log(cells.volume))
        evident = evident & (mixture.wide * unit > std)
        inside = mixture.probability(squares)
        weight = inside + (1 - inside) * (mixture.narrow / positive(mixture.wide)) ** 2
        measured = {FRACTION: mixture.fraction, OUTLIER_STD: mixture.wide * unit}
        return CellWeights(
            order.where(evident, weight, 1.0),
            order.where(evident, mixture.narrow * unit, std),
            {name: order.where(evident, value, 0.0) for name, value in measured.items()},
        )

    def sample(
        self, mean: Tensor, normal: Tensor, known: Mapping[str, Any], basis: SpectralBasis, alike: Shape
    ) -> Tensor:
        std = as_tensor(known[STD])
        if FRACTION not in known:
            return normal * std
        digits = abs(normal) * DIGITS
        is_outlier = digits - math.floor(digits) < as_tensor(known[FRACTION])
        return normal * order.where(is_outlier, as_tensor(known[OUTLIER_STD]), std)


@dataclass(frozen=True, eq=False)
class _Mixture:
    """
    (1 − f) N(0, σ²) + f N(0, σ'²) of residuals in units of their mean size.

    Attributes:
        narrow, wide: σ and σ'.
        fraction: f.
    """

    narrow: Tensor
    wide: Tensor
    fraction: Tensor

    def log_odds(self, squares: Tensor) -> Tensor:
        """Computes the logarithm of how much more probable it is that a cell is an outlier than that it is none."""
        narrow, wide = positive(self.narrow), positive(self.wide)
        difference = 0.5 * squares * (1 / narrow**2 - 1 / wide**2)
        return math.log(self.fraction / (1 - self.fraction) * narrow / wide) + difference

    def probability(self, squares: Tensor) -> Tensor:
        """Computes the probability that a cell is no outlier."""
        return 1 / (1 + math.exp(math.minimum(self.log_odds(squares), 60.0)))

    def log_likelihood_ratio(self, squares: Tensor, cells: Shape) -> Tensor:
        """Computes the logarithm of the likelihood, less that of the best normal distribution."""
        narrow, all_ = positive(self.narrow), positive(math.sqrt(math.mean(squares, cells)))
        odds = self.log_odds(squares)
        either = math.maximum(odds, 0.0) + math.log(1 + math.exp(-abs(odds)))
        each = math.log((1 - self.fraction) * all_ / narrow) + 0.5 - 0.5 * squares / narrow**2 + either
        return math.sum(each, cells)


def _huber(squares: Tensor, cells: Shape) -> tuple[Tensor, Tensor]:
    """Computes Huber's weights, and σ, the root mean square of what is left with these weights."""
    size, std = math.sqrt(squares), math.wrap(1.0)
    for _ in range(SCALINGS):
        weight = math.minimum(1.0, THRESHOLD * std / positive(size))
        std = math.sqrt(math.mean(weight * squares, cells))
    return weight, std


def _mixture(squares: Tensor, cells: Shape) -> _Mixture:
    """Computes the most likely mixture, by expectation–maximization."""
    of_each = math.mean(squares, cells) * 0
    found = _Mixture(*(of_each + value for value in FIRST))
    for _ in range(FITS):
        inside = found.probability(squares)
        narrow = _fitted(squares, inside, cells, found.narrow)
        wide = math.maximum(_fitted(squares, 1 - inside, cells, found.wide), LEAST_RATIO * narrow)
        found = _Mixture(narrow, wide, math.clip(1 - math.mean(inside, cells), *FRACTIONS))
    return found


def _fitted(squares: Tensor, share: Tensor, cells: Shape, before: Tensor) -> Tensor:
    """Computes the standard deviation of the part of the cells that `share` says; as before where there are none."""
    total = math.sum(share, cells)
    return order.where(total > 0, math.sqrt(math.sum(share * squares, cells) / positive(total)), before)
