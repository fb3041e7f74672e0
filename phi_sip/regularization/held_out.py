"""How well a rule predicts what it has not seen."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
from phiml import math
from phiml.math import Tensor, expand, spatial

from ..spectral import SpectralBasis
from ..states import order
from .base import SpectralProblem, SpectrumEstimate, power
from .coarse import UNSEEN
from .split_prior import SplitPrior

HELD_OUT = 0.2  # fraction of the modes of the band
BAND = 0.15  # |k|² of the band, from this fraction of the largest |k|² that holds signal
PSEUDO_MODES = 2.0  # for no difference, so that few modes decide little


def prediction_error(
    rule: SplitPrior, problem: SpectralProblem, spectrum: SpectrumEstimate, wanted: Tensor | None = None
) -> Tensor:
    """
    Computes how much of some modes a rule does not predict from the others:

        q = Σ_k |â_k − h_k x̂_k|² / v_k  ÷  Σ_k |â_k|² / v_k,   over held-out modes k,   v_k = S_k h_k² + σ²

    A fifth of the shorter modes that hold signal is held out, always the same ones. q is drawn towards 1 by
    `PSEUDO_MODES`.

    Args:
        rule: Makes x̂ of the other modes.
        problem: Observation.
        spectrum: S_k.
        wanted: See `SplitPrior.minimize`. Where it is 0, q = 1.
    """
    names = problem.basis.resolution.names
    noise = problem.noise_power
    signal = math.exp(2 * problem.log_gain + spectrum.log_power)
    k_squared = math.to_float(problem.basis.k_squared())
    holds_signal = math.to_float(noise < signal) * (1 - problem.is_constant)
    shortest = math.max(k_squared * holds_signal, names)
    band = holds_signal * math.to_float(BAND * shortest < k_squared)
    held_out = band * math.to_float(_chosen(problem.basis))
    weight = held_out / (noise + signal)
    predicted = math.exp(problem.log_gain) * _without(rule, problem, held_out, spectrum, wanted)
    unexplained = problem.basis.sum(weight * power(problem.target - predicted))
    explained = problem.basis.sum(weight * problem.power)
    return (unexplained + PSEUDO_MODES) / (explained + PSEUDO_MODES)


def _without(
    rule: SplitPrior, problem: SpectralProblem, held_out: Tensor, spectrum: SpectrumEstimate, wanted: Tensor | None
) -> Tensor:
    """Computes the coefficients of x without the modes `held_out`; two thirds of the iterations are enough."""
    unseen = dataclasses.replace(
        problem,
        compute_target=lambda: problem.target * (1 - held_out),
        compute_mean_square=lambda: problem.mean_square,
        log_gain=order.where(held_out > 0, UNSEEN, problem.log_gain),
    )
    fewer = dataclasses.replace(rule, iterations=-(-2 * rule.iterations // 3))
    return fewer.minimize(unseen, spectrum, wanted).coefficients


@lru_cache(maxsize=64)
def _chosen(basis: SpectralBasis) -> Tensor:
    """
    Returns True for a fifth of the modes, always the same ones.

    A mode k and those that differ from it in the signs of components are chosen together.
    """
    ranks = basis.ranks
    drawn = np.random.default_rng(0).random([int(rank.max()) + 1 for rank in ranks.values()]) < HELD_OUT
    chosen = math.wrap(drawn[np.ix_(*ranks.values())], *(spatial(axis) for axis in ranks))
    return expand(chosen, basis.modes)
