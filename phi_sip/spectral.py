"""The orthonormal real Fourier basis of a periodic grid, in which translation-invariant physics is diagonal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor, spatial

from .frameworks import framework_of


@dataclass(frozen=True)
class FourierBasis:
    """
    Fourier modes exp(i k·x) / √N of a periodic grid with N cells of any size.

    Coefficients are kept for half of the modes, k and −k being conjugate: the last axis holds n // 2 + 1 of n.
    White noise of standard deviation σ per cell has E|â|² = σ² in every mode.

    Attributes:
        resolution: Spatial shape, cells per axis.
        size: Edge lengths of the domain along the dim `vector`.
    """

    resolution: Shape
    size: Tensor

    @staticmethod
    def of(field: Field) -> FourierBasis:
        """The basis of the grid that `field` lives on."""
        return FourierBasis(field.resolution, field.bounds.size)

    @property
    def half_resolution(self) -> Shape:
        """Modes kept per axis."""
        *full, last = self.resolution.sizes
        return spatial(**dict(zip(self.resolution.names, (*full, last // 2 + 1), strict=True)))

    def k_squared(self) -> Tensor:
        """|k|² of the kept modes in float64, unit 1/length²; k = 2π·integer / edge length."""
        last = self.resolution.names[-1]
        with math.precision(64):
            total = math.wrap(0.0)
            for name, n in zip(self.resolution.names, self.resolution.sizes, strict=True):
                integers = (np.fft.rfftfreq if name == last else np.fft.fftfreq)(n, 1 / n)
                total = total + (math.wrap(2 * np.pi * integers, spatial(name)) / self.size.vector[name]) ** 2
            return total

    def multiplicity(self) -> Tensor:
        """How many of all N modes each kept mode stands for: 2, or 1 where k and −k are the same mode."""
        n = self.resolution.sizes[-1]
        counts = np.full(n // 2 + 1, 2.0)
        counts[0] = 1
        if n % 2 == 0:
            counts[-1] = 1
        return math.wrap(counts, spatial(self.resolution.names[-1]))

    def transform(self, values: Tensor) -> Tensor:
        """Coefficients of real `values` given per cell. Other dims are kept."""
        others = values.shape.without(self.resolution)
        native = values.native([others, *self.resolution.names])
        result = framework_of(values.default_backend).rfftn(native, self.resolution.rank)
        return math.reshaped_tensor(result, [others, *self.half_resolution], convert=False) / self._norm

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Values per cell from the coefficients of the kept modes. Other dims are kept."""
        others = coefficients.shape.without(self.resolution)
        native = (coefficients * self._norm).native([others, *self.resolution.names])
        result = framework_of(coefficients.default_backend).irfftn(native, self.resolution.sizes)
        return math.reshaped_tensor(result, [others, *self.resolution], convert=False)

    def sum(self, per_mode: Tensor) -> Tensor:
        """Σ over all N modes of a quantity given for the kept modes."""
        return math.sum(per_mode * self.multiplicity(), self.resolution.names)

    @property
    def _norm(self) -> float:
        return float(np.sqrt(self.resolution.volume))
