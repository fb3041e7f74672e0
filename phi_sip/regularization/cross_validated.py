"""A choice between a linear and an edge-aware prior, made by the observation itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
from phiml import math
from phiml.math import Tensor, expand, spatial

from ..errors import ParameterError
from ..spectral import SpectralBasis
from .base import Regularization, SpectralEstimate, SpectralProblem, SpectrumEstimate, power
from .coarse import UNSEEN, coarsened
from .empirical_bayes import EmpiricalBayes
from .gaussian import GaussianPrior
from .total_variation import TotalVariation

HELD_OUT = 0.2  # fraction of the modes of the band
BAND = 0.15  # |k|² of the band, from this fraction of the largest |k|² that holds signal
PSEUDO_MODES = 2.0  # for no difference, so that few modes decide little
UNDECIDED = (0.6, 1.0)  # prediction errors between which the two are blended


@dataclass(frozen=True)
class CrossValidated(Regularization):
    """
    A linear posterior mean, or an edge-aware estimate where that predicts what it has not seen:

        q = Σ_k |â_k − h_k x̂_k|² / v_k  ÷  Σ_k |â_k|² / v_k,   over held-out modes k,   v_k = S_k h_k² + σ²
        x̃ = w x̃_edges + (1 − w) x̃_linear,   w = 1 for q ≤ 0.6, 0 for q ≥ 1

    x̂ is the edge-aware estimate from the other modes. A prior of independent modes predicts nothing about those it has
    not seen (q = 1); where x has edges, their positions fix the phases (q ≈ 0.1). A fifth of the shorter modes that
    hold signal is held out, always the same ones. Batch entries do not mix. The uncertainty is that of the linear
    posterior, which is larger than the error where edges are found.

    Args:
        linear: Rule with a power spectrum. Default: `EmpiricalBayes()`.
        edges: Rule for states with edges. Default: `TotalVariation()`; with `TotalVariation(minimum=0.0)` for states
            that are not negative.

    Raises:
        ParameterError: if the rules are of other kinds.

    Source: hold-out validation, e.g. Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", section 7.2.
    """

    name: ClassVar[str] = "cross-validated"

    linear: GaussianPrior = field(default_factory=EmpiricalBayes)
    edges: TotalVariation = field(default_factory=TotalVariation)

    def __post_init__(self) -> None:
        if not isinstance(self.linear, GaussianPrior) or not isinstance(self.edges, TotalVariation):
            raise ParameterError(
                f"CrossValidated: linear is a {type(self.linear).__name__}, edges a {type(self.edges).__name__}. Give "
                f"EmpiricalBayes() or Wiener() as linear, TotalVariation() as edges."
            )

    def admissible(self, values: Tensor) -> Tensor:
        return self.edges.admissible(values)

    @property
    def control(self) -> Regularization:
        return self.linear

    @property
    def for_networks(self) -> CrossValidated:
        return dataclasses.replace(self, edges=self.edges.for_networks)

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        spectrum = self.linear.spectrum_of(problem)
        smooth, sharp = self.linear.posterior(problem, spectrum), self.edges.minimize(problem, spectrum)
        error = self._prediction_error(*coarsened(problem, spectrum))
        low, high = UNDECIDED
        weight = math.clip((high - error) / (high - low), 0.0, 1.0)
        blend = smooth.coefficients + weight * (sharp.coefficients - smooth.coefficients)
        stats = {**smooth.stats, **sharp.stats, "prediction_error": error, "edges": weight}
        return SpectralEstimate(blend, stats=stats, mode_variance=smooth.mode_variance)

    def _prediction_error(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> Tensor:
        """Computes q, drawn towards 1 by `PSEUDO_MODES`."""
        names = problem.basis.resolution.names
        noise = problem.noise_power
        signal = math.exp(spectrum.log_power + 2 * problem.log_gain)
        k_squared = math.to_float(problem.basis.k_squared())
        holds_signal = math.to_float(signal > noise) * (1 - problem.is_constant)
        shortest = math.max(k_squared * holds_signal, names)
        band = holds_signal * math.to_float(k_squared > BAND * shortest)
        held_out = band * math.to_float(_chosen(problem.basis))
        weight = held_out / (signal + noise)
        predicted = self._without(problem, held_out, spectrum) * math.exp(problem.log_gain)
        unexplained = problem.basis.sum(weight * power(problem.target - predicted))
        explained = problem.basis.sum(weight * problem.power)
        return (unexplained + PSEUDO_MODES) / (explained + PSEUDO_MODES)

    def _without(self, problem: SpectralProblem, held_out: Tensor, spectrum: SpectrumEstimate) -> Tensor:
        """Computes the coefficients of x without the modes `held_out`; two thirds of the iterations are enough."""
        unseen = dataclasses.replace(
            problem,
            compute_target=lambda: problem.target * (1 - held_out),
            compute_mean_square=lambda: problem.mean_square,
            log_gain=math.where(held_out > 0, UNSEEN, problem.log_gain),
        )
        rule = dataclasses.replace(self.edges, iterations=-(-2 * self.edges.iterations // 3))
        return rule.minimize(unseen, spectrum).coefficients


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
