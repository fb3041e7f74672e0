"""Several rules for one observation, to which a spectrum is fitted once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from phiml.math import Tensor

from .base import Regularization, SpectralEstimate, SpectralProblem, SpectrumEstimate

Fits = dict[bool, SpectrumEstimate]  # by whether they are pooled


@dataclass(frozen=True, eq=False)
class SharingFits(Regularization):
    """
    Another rule, which takes the spectra that others have fitted to the same observation, and leaves its own to them.

    Args:
        rule: The rule.
        fits: What has been fitted to the observation so far, shared by all of its rules.
    """

    name: ClassVar[str] = "sharing-fits"

    rule: Regularization
    fits: Fits = field(repr=False)

    @property
    def control(self) -> Regularization | None:
        return self.rule.control

    def admissible(self, values: Tensor) -> Tensor:
        return self.rule.admissible(values)

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        def fit(problem: SpectralProblem, pooled: bool) -> SpectrumEstimate:
            if pooled not in self.fits:
                self.fits[pooled] = whole.power_law(pooled=pooled)
            return self.fits[pooled]

        whole = problem
        return self.rule.estimate(dataclasses.replace(problem, fit=fit))
