"""A regularization rule of a stranger: modes of more than a given gain are inverted, the others are left out."""

from dataclasses import dataclass
from typing import ClassVar

from phiml import math

from phi_sip import Regularization, hookimpl
from phi_sip.regularization.base import SpectralEstimate


@dataclass(frozen=True)
class SharpCut(Regularization):
    """x̂_k = â_k / h_k where h_k > gain, else 0."""

    name: ClassVar[str] = "sharp-cut"
    gain: float = 0.5

    def estimate(self, problem):
        keep = problem.log_gain > math.log(math.wrap(self.gain))
        return SpectralEstimate(math.where(keep, problem.target * math.exp(-problem.log_gain), 0 * problem.target))


@hookimpl
def sip_rules():
    return [SharpCut]
