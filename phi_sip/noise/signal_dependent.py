"""Noise whose size depends on what is observed."""

from __future__ import annotations

from abc import abstractmethod

from phiml import math
from phiml.math import Shape, Tensor

from .base import positive
from .cellwise import CellWeights, CellwiseLaw

LEAST = 0.1  # of the mean variance: what is estimated of dark cells does not give them more weight


class SignalDependentLaw(CellwiseLaw):
    """σ_i² = σ² q_i / mean q with q a function of P(x), but no less than a tenth of σ²."""

    @abstractmethod
    def variance(self, mean: Tensor) -> Tensor:
        """Computes q ≥ 0 per cell of P(x), up to a factor."""

    def weights(self, observed: Tensor, predicted: Tensor, std: Tensor, alike: Shape, iteration: int) -> CellWeights:
        share = math.maximum(self.share(predicted, alike), LEAST)
        return CellWeights(math.mean(share, share.shape.only(alike)) / share, std)

    def share(self, mean: Tensor, alike: Shape) -> Tensor:
        """Computes q_i / mean q; 1 where all q are 0."""
        variance = self.variance(mean)
        total = math.mean(variance, variance.shape.only(alike))
        return math.where(total > 0, variance / positive(total), 1.0)
