"""Orthonormal modes along axes, and those of all periodic axes, which share one Fourier transform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from phiml import math
from phiml.math import Shape, Tensor, expand, spatial

from ..frameworks import operations_of


@dataclass(frozen=True)
class Modes(ABC):
    """
    Modes φ_k along one or more axes.

    Attributes:
        cells: Spatial shape, the axes with their numbers of cells.
        size: Edge lengths of the domain along the dim `vector`.
        is_real: Whether φ_k, and with it every coefficient of real values, is real.
        conserves_mean: Whether the constant is a mode, so that diffusion leaves the mean alone.
    """

    cells: Shape
    size: Tensor
    is_real: ClassVar[bool]
    conserves_mean: ClassVar[bool]

    @property
    def kept(self) -> Shape:
        """Coefficients kept per axis."""
        return self.cells

    @abstractmethod
    def wavenumbers(self) -> dict[str, Tensor]:
        """Returns k in float64 per axis, unit 1/length."""

    def multiplicity(self) -> Tensor:
        """Returns how many modes each kept one stands for."""
        return math.wrap(1.0)

    @abstractmethod
    def transform(self, values: Tensor) -> Tensor:
        """Computes coefficients along the axes; other dims are kept."""

    @abstractmethod
    def inverse(self, coefficients: Tensor) -> Tensor:
        """Computes values per cell; other dims are kept."""

    @abstractmethod
    def restrict(self, coefficients: Tensor) -> Tensor:
        """Returns the coefficients for half as many cells per axis: the same φ_k, without the short ones."""

    @abstractmethod
    def variance_per_cell(self, mode_variance: Tensor) -> Tensor:
        """Computes Σ_k m_k var_k |φ_k(cell)|² with m_k the multiplicity; other dims are kept."""


class Fourier(Modes):
    """
    φ_k = exp(i k·x) / √N, k = 2π n / L, on periodic axes.

    k and −k are conjugate: the last axis holds n // 2 + 1 of n coefficients.
    """

    is_real = False
    conserves_mean = True

    @property
    def kept(self) -> Shape:
        *full, last = self.cells.sizes
        return spatial(**dict(zip(self.cells.names, (*full, last // 2 + 1), strict=True)))

    def wavenumbers(self) -> dict[str, Tensor]:
        kinds = [np.fft.fftfreq] * (self.cells.rank - 1) + [np.fft.rfftfreq]
        return {
            name: math.wrap(2 * np.pi * abs(frequencies(n, 1 / n)), spatial(name)) / self.size.vector[name]
            for name, n, frequencies in zip(self.cells.names, self.cells.sizes, kinds, strict=True)
        }

    def multiplicity(self) -> Tensor:
        n = self.cells.sizes[-1]
        counts = np.full(n // 2 + 1, 2.0)
        counts[0] = 1
        if n % 2 == 0:
            counts[-1] = 1
        return math.wrap(counts, spatial(self.cells.names[-1]))

    def transform(self, values: Tensor) -> Tensor:
        others = values.shape.without(self.cells)
        native = values.native([others, *self.cells.names])
        result = operations_of(values.default_backend).rfftn(native, self.cells.rank)
        return math.reshaped_tensor(result, [others, *self.kept], convert=False)

    def inverse(self, coefficients: Tensor) -> Tensor:
        others = coefficients.shape.without(self.cells)
        native = coefficients.native([others, *self.cells.names])
        result = operations_of(coefficients.default_backend).irfftn(native, self.cells.sizes)
        return math.reshaped_tensor(result, [others, *self.cells], convert=False)

    def restrict(self, coefficients: Tensor) -> Tensor:
        *full, (last, cells) = ((name, n // 2) for name, n in zip(self.cells.names, self.cells.sizes, strict=True))
        result = coefficients[{last: slice(0, cells // 2 + 1)}]
        for name, n in full:
            below = [result[{name: slice(-(n // 2), None)}]] if n > 1 else []
            result = math.concat([result[{name: slice(0, (n + 1) // 2)}], *below], name)
        return result

    def variance_per_cell(self, mode_variance: Tensor) -> Tensor:
        total = math.sum(mode_variance * self.multiplicity(), self.cells.names)
        return expand(total / self.cells.volume, self.cells)
