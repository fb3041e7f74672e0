"""Counted particles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math
from phiml.math import Shape, Tensor

from ..spectral import SpectralBasis
from ..states import order
from ..states.parameters import as_tensor
from .base import STD, positive, root_mean
from .signal_dependent import SignalDependentLaw


@dataclass(frozen=True)
class PoissonNoise(SignalDependentLaw):
    """
    Counts c y* ~ Poisson(c μ) of particles, μ = P(x), with c counts per unit of y, so that in each cell

        E n = 0,   σ_i² = μ_i / c,   σ² = mean μ / c

    How observations with it are inverted: see `CellwiseLaw`; no σ_i² counts for less than a tenth of σ².

    Simulated noise has the mean, the variance and the third moment of the counts, by the expansion of Cornish and
    Fisher, n = (√(m − 1/18) z + (z² − 1) / 6) / c with m = c μ and z ~ N(0, 1); it is not rounded to whole counts.

    Args:
        counts: c > 0, a number or a tensor with batch dims. Default: from σ, as the physics is given or measures it,
            c = mean μ / σ².
        iterations: How many times an observation is explained after the first.

    Raises:
        ParameterError: if an argument is out of range.

    Source: Bertero, Boccacci, "Introduction to Inverse Problems in Imaging", 1998, section 3.4 (counts); Cornish,
    Fisher, "Moments and Cumulants in the Specification of Distributions", 1937.
    """

    name: ClassVar[str] = "poisson"
    strength: ClassVar[str] = "counts"

    counts: float | Tensor | None = None
    iterations: int = 2

    def std_of(self, values: Tensor, strength: Tensor, alike: Shape) -> Tensor:
        return root_mean(math.maximum(values, 0.0) / strength, alike)

    def variance(self, mean: Tensor) -> Tensor:
        return math.maximum(mean, 0.0)

    def sample(
        self, mean: Tensor, normal: Tensor, known: Mapping[str, Any], basis: SpectralBasis, alike: Shape
    ) -> Tensor:
        std = as_tensor(known[STD])
        brightness = math.mean(self.variance(mean), mean.shape.only(alike))
        counts = brightness / positive(std * std)
        expected = counts * self.variance(mean)
        skewed = math.minimum(1 / 6, math.sqrt(expected / 2))
        even = math.sqrt(math.maximum(expected - 2 * skewed * skewed, 0.0))
        noise = (even * normal + skewed * (normal * normal - 1)) / positive(counts)
        return order.where((counts > 0) & (std > 0), noise, 0.0)
