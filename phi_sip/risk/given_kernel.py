"""A linear filter that is given, so that it is the same for several observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phiml.math import Tensor

from ..regularization import Regularization, SpectralEstimate, SpectralProblem


@dataclass(frozen=True, eq=False)
class GivenKernel(Regularization):
    """
    Corrects a state by a filter that does not depend on the observation:

        Δx̂_k = K_k (â_k − h_k x̂_k)

    Args:
        kernel: K per kept mode, as rules report it.
    """

    name: ClassVar[str] = "given-kernel"

    kernel: Tensor

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        return SpectralEstimate(problem.residual * self.kernel, is_correction=True)
