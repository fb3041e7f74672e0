"""One Gaussian law of a field: what the priors that explain an observation amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .fit import Explanation
from .grid import GridModes

SMALLEST = 1e-300  # power


@dataclass(frozen=True, eq=False)
class FieldLaw:
    """
    x = Σ_k c_k φ_k with independent c_k ~ N(0, S_k), seen in white noise n ~ N(0, σ²).

    Attributes:
        modes: φ_k.
        power: S_k per column of the state, the geometric mean over what is likely.
        mean_power: The mean over that: how uncertain S_k is makes states more uncertain.
        noise_variance: σ².
    """

    modes: GridModes
    power: np.ndarray
    mean_power: np.ndarray
    noise_variance: float

    @staticmethod
    def all_of(explanations: Sequence[Explanation], count: int) -> Sequence[FieldLaw]:
        """
        Returns the law of each of `count` observations. It has the modes that are likeliest, and of all priors with
        these the mean of log S_k, weighted by their evidence.
        """
        return [_law(explanations, row) for row in range(count)]


def _law(explanations: Sequence[Explanation], row: int) -> FieldLaw:
    own = [(one, int(np.flatnonzero(one.rows == row)[0])) for one in explanations if row in one.rows]
    weight_of: dict[GridModes, float] = {}
    for one, place in own:
        modes = one.spread.prior.modes
        weight_of[modes] = weight_of.get(modes, 0.0) + float(one.weights[place, 0])
    modes = max(weight_of, key=lambda known: weight_of[known])
    alike = [(one, place) for one, place in own if one.spread.prior.modes == modes]
    weights = np.array([one.weights[place, 0] for one, place in alike]) / weight_of[modes]
    log_power = mean_power = np.zeros(len(alike[0][0].spread.prior.power()))
    variance = 0.0
    for weight, (one, place) in zip(weights, alike, strict=True):
        amplitude = one.shares[place] @ one.amplitudes[place]
        power = amplitude * one.spread.prior.power()
        log_power = log_power + weight * np.log(np.maximum(power, SMALLEST))
        mean_power = mean_power + weight * power
        variance += weight * float(one.noise_variance[place, 0])
    return FieldLaw(modes, np.exp(log_power), mean_power, variance)
