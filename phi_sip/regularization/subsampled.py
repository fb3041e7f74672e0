"""A costly rule, computed for a random part of the samples only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phiml.math import Tensor

from .base import Regularization, SpectralEstimate, SpectralProblem
from .part import Part


@dataclass(frozen=True, eq=False)
class Subsampled(Regularization):
    """
    Another rule, computed for a random part p of the samples. The others get what its `control` gives, a rule that
    costs little:

        x̃ = x̃_control + b/p (x̃_rule − x̃_control),   b = 1 for a part p of the samples, 0 for the others

    Its mean over b is x̃_rule. It is meant for what is averaged over many samples: the estimate of a single one is
    either that of the control, or goes too far by 1/p. The uncertainty is that of the control.

    Args:
        rule: Rule that has a `control`.
        part: p in (0, 1]. At least one sample is chosen.
        numbers: A random number for each sample.

    Source: control variates, e.g. Owen, "Monte Carlo theory, methods and examples", 2013, section 8.9.
    """

    name: ClassVar[str] = "subsampled"

    rule: Regularization
    part: float
    numbers: Tensor

    def admissible(self, values: Tensor) -> Tensor:
        return self.rule.admissible(values)

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        assert self.rule.control is not None, f"{type(self.rule).__name__} has no control"
        chosen = Part(self.numbers, max(1, round(self.part * self.numbers.shape.volume)))
        some = chosen.of_problem(problem)
        control, wanted = self.rule.control.estimate(problem), self.rule.estimate(some)
        found = _state(control, problem)
        difference = _state(wanted, some) - chosen.of(found)
        return SpectralEstimate(
            found + chosen.spread(difference) * chosen.weight,
            stats=control.stats,
            mode_variance=control.mode_variance,
        )


def _state(estimate: SpectralEstimate, problem: SpectralProblem) -> Tensor:
    """Returns the coefficients of x̃."""
    return problem.state + estimate.coefficients if estimate.is_correction else estimate.coefficients
