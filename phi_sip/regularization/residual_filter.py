"""A linear rule as a correction of a given state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import ParameterError
from .base import Regularization, SpectralEstimate, SpectralProblem
from .empirical_bayes import EmpiricalBayes


@dataclass(frozen=True)
class ResidualFilter(Regularization):
    """
    Corrects a state in the modes that the observation determines, and leaves the others as they are:

        x̃̂_k = x̂_k + K_k (â_k − h_k x̂_k)

    with K of a rule that filters the observation, such as the Wiener filter of `EmpiricalBayes`. A state that is right
    already is moved by noise only, K_k n̂_k. Iterated, it chases noise: it is meant for one step.

    Args:
        rule: Rule whose `stats` hold `kernel` K, by which it multiplies observations, or residuals.

    Raises:
        ParameterError: when inverting, if the rule reports no kernel.

    Source: the correction step of the Kalman filter, with a stationary covariance: Kalman, "A New Approach to Linear
    Filtering and Prediction Problems", 1960.
    """

    name: ClassVar[str] = "residual-filter"

    rule: Regularization = field(default_factory=EmpiricalBayes)

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Regularization):
            raise ParameterError(
                f"ResidualFilter: rule is a {type(self.rule).__name__}. Give a rule such as EmpiricalBayes()."
            )

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        stats = self.rule.estimate(problem).stats
        if "kernel" not in stats:
            raise ParameterError(
                f"ResidualFilter: {type(self.rule).__name__} reports no kernel. Use EmpiricalBayes(), Wiener() or "
                f"Tikhonov()."
            )
        return SpectralEstimate(problem.residual * stats["kernel"], is_correction=True, stats=stats)
