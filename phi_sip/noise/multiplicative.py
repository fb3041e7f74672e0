"""Noise in proportion to what is observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math
from phiml.math import Shape, Tensor

from ..spectral import SpectralBasis
from ..states.parameters import as_tensor
from .base import STD, root_mean
from .signal_dependent import SignalDependentLaw


@dataclass(frozen=True)
class MultiplicativeNoise(SignalDependentLaw):
    """
    y* = μ (1 + r z) in every cell, μ = P(x), z ~ N(0, 1), so that

        σ_i = r |μ_i|,   σ = r · rms μ

    How observations with it are inverted: see `CellwiseLaw`; no σ_i² counts for less than a tenth of σ².

    Args:
        relative: r > 0, a number or a tensor with batch dims. Default: from σ, as the physics is given or measures it,
            r = σ / rms μ.
        iterations: How many times an observation is explained after the first.

    Raises:
        ParameterError: if an argument is out of range.
    """

    name: ClassVar[str] = "multiplicative"
    strength: ClassVar[str] = "relative"

    relative: float | Tensor | None = None
    iterations: int = 3

    def std_of(self, values: Tensor, strength: Tensor, alike: Shape) -> Tensor:
        """Computes r rms μ from y*, whose mean square is (1 + r²) that of μ."""
        return strength / math.sqrt(1 + strength * strength) * root_mean(values * values, alike)

    def variance(self, mean: Tensor) -> Tensor:
        return mean * mean

    def sample(
        self, mean: Tensor, normal: Tensor, known: Mapping[str, Any], basis: SpectralBasis, alike: Shape
    ) -> Tensor:
        share = self.share(mean, alike)
        return normal * as_tensor(known[STD]) * math.sqrt(share)
