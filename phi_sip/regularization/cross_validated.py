"""A choice between a linear prior, one of edges and one of points, made by the observation itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from phiml import math
from phiml.math import Tensor

from ..errors import ParameterError
from ..frameworks import operations_of
from .base import Regularization, SpectralEstimate, SpectralProblem, SpectrumEstimate
from .coarse import coarsened
from .empirical_bayes import EmpiricalBayes
from .gaussian import GaussianPrior
from .held_out import prediction_error
from .part import Part
from .point_test import may_be_points
from .sparse import Sparse
from .total_variation import TotalVariation

UNDECIDED = (0.6, 1.0)  # prediction errors between which the linear and the edge-aware estimate are blended
UNDECIDED_POINTS = (0.75, 1.0)  # those of few points, in units of the least of the others, between which they are


@dataclass(frozen=True)
class CrossValidated(Regularization):
    """
    A linear posterior mean, or an estimate of edges or of few points where that predicts what it has not seen:

        q = Σ_k |â_k − h_k x̂_k|² / v_k  ÷  Σ_k |â_k|² / v_k,   over held-out modes k,   v_k = S_k h_k² + σ²
        x̃ = w x̃_edges + (1 − w) x̃_linear,   w = 1 for q_edges ≤ 0.6, 0 for q_edges ≥ 1
        x̃ ← p x̃_points + (1 − p) x̃,   p = 1 for q_points ≤ 0.75 min(q_edges, 1), 0 for q_points ≥ min(q_edges, 1)

    x̂ is the estimate from the other modes. A prior of independent modes predicts nothing about those it has not seen
    (q = 1); where x has edges, their positions fix the phases (q ≈ 0.1). A fifth of the shorter modes that hold signal
    is held out, always the same ones. Batch entries do not mix. Points take many iterations, and are tried only where
    the spectrum is flat and the linear estimate has peaks (`may_be_points`), which costs next to nothing. The
    uncertainty is that of the linear posterior, which is larger than the error where edges or points are found.

    Args:
        linear: Rule with a power spectrum. Default: `EmpiricalBayes()`.
        edges: Rule for states with edges. Default: `TotalVariation()`; with `TotalVariation(minimum=0.0)` for states
            that are not negative.
        points: Rule for states of few points. Default: `Sparse()`, with the minimum of `edges` if it has none itself.
            `None`: states never consist of points.

    Raises:
        ParameterError: if the rules are of other kinds.

    Source: hold-out validation, e.g. Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", section 7.2.
    """

    name: ClassVar[str] = "cross-validated"

    linear: GaussianPrior = field(default_factory=EmpiricalBayes)
    edges: TotalVariation = field(default_factory=TotalVariation)
    points: Sparse | None = field(default_factory=Sparse)

    def __post_init__(self) -> None:
        if not (self.points is None or isinstance(self.points, Sparse)):
            raise ParameterError(
                f"CrossValidated: points is a {type(self.points).__name__}. Give Sparse(), or None to leave points out."
            )
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
        points = None if self.points is None else self.points.for_networks
        return dataclasses.replace(self, edges=self.edges.for_networks, points=points)

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        spectrum = self.linear.spectrum_of(problem)
        smooth, sharp = self.linear.posterior(problem, spectrum), self.edges.minimize(problem, spectrum)
        error = prediction_error(self.edges, *coarsened(problem, spectrum))
        weight = _preference(error, UNDECIDED)
        blend = smooth.coefficients + weight * (sharp.coefficients - smooth.coefficients)
        stats = {**smooth.stats, **sharp.stats, "prediction_error": error, "edges": weight}
        if self.points is not None:
            pointed, chosen = self._pointed(problem, spectrum, smooth.coefficients, math.minimum(error, 1.0))
            stats["points"] = chosen
            if pointed is not None:
                blend = blend + chosen * (pointed - blend)
        return SpectralEstimate(blend, stats=stats, mode_variance=smooth.mode_variance)

    def _pointed(
        self, problem: SpectralProblem, spectrum: SpectrumEstimate, linear: Tensor, best: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """
        Computes the estimate of few points where there may be such.

        Args:
            problem: Observation.
            spectrum: S_k.
            linear: Coefficients of the linear estimate.
            best: The least prediction error of the other rules.

        Returns:
            Its coefficients, `None` where there are no points in any batch entry; and its weight.
        """
        wanted = may_be_points(problem, spectrum, linear)
        if wanted.available and not wanted.any:
            return None, best * 0
        number = int(math.sum(wanted, wanted.shape)) if wanted.available else wanted.shape.volume
        compiles = operations_of(problem.target.default_backend).COMPILES  # anew for each number of samples
        if number == wanted.shape.volume or compiles:
            return self._points_of(problem, spectrum, wanted, best)
        part = Part(1 - wanted, number)
        log_power = part.of(spectrum.log_power)
        some = SpectrumEstimate(log_power, lambda: log_power)
        coefficients, weight = self._points_of(part.of_problem(problem), some, part.of(wanted), part.of(best))
        return part.spread(coefficients), part.spread(weight)

    def _points_of(
        self, problem: SpectralProblem, spectrum: SpectrumEstimate, wanted: Tensor, best: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Computes coefficients and weight, each 0 where they are not wanted."""
        assert self.points is not None, "asked for with points only"
        rule = self.points
        if rule.minimum is None:
            rule = dataclasses.replace(rule, minimum=self.edges.minimum)
        error = prediction_error(rule, problem, spectrum, wanted)
        weight = wanted * _preference(error / best, UNDECIDED_POINTS)
        return rule.minimize(problem, spectrum, math.to_float(weight > 0)).coefficients, weight


def _preference(error: Tensor, undecided: tuple[float, float]) -> Tensor:
    """Computes the weight of what predicts with this error, in units of that of the others."""
    low, high = undecided
    return math.clip((high - error) / (high - low), 0.0, 1.0)
