"""Noise whose size depends on what is observed."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from phiml import math
from phiml.math import Shape, Tensor

from ..states import order
from ..states.checks import check_parameter
from ..states.parameters import as_tensor
from .base import positive
from .cellwise import CellWeights, CellwiseLaw

LEAST = 0.1  # of the mean variance: what is estimated of dark cells does not give them more weight


class SignalDependentLaw(CellwiseLaw):
    """
    σ_i² = σ² q_i / mean q with q a function of P(x), but no less than a tenth of σ². Subclasses are frozen dataclasses.

    Attributes:
        strength: Name of the field that says how strong the noise is, > 0; `None` there: σ says it.
    """

    strength: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fixes_std:
            check_parameter(type(self).__name__, self.strength, getattr(self, self.strength), positive=True)

    @property
    def fixes_std(self) -> bool:
        """Whether the strength is given."""
        return getattr(self, self.strength) is not None

    def std(self, values: Tensor, alike: Shape) -> Tensor:
        if not self.fixes_std:
            return super().std(values, alike)
        return self.std_of(values, as_tensor(getattr(self, self.strength)), alike)

    @abstractmethod
    def std_of(self, values: Tensor, strength: Tensor, alike: Shape) -> Tensor:
        """Computes σ of observations `values` from the strength of the noise."""

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
        return order.where(total > 0, variance / positive(total), 1.0)
