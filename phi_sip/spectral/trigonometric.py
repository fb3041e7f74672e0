"""Orthonormal modes of axes that are not periodic, one class per pair of sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.math import Tensor, spatial

from ..frameworks import operations_of
from .modes import Modes


class RealModes(Modes):
    """
    φ_n(j) ∝ wave(π (n + first) (j + ½) / N), k = π (n + first) / L, n = 0 … N − 1, on one axis.

    Attributes:
        wave: Cosine or sine.
        first: Half waves in the longest mode.
    """

    is_real = True
    conserves_mean = False
    wave: ClassVar[np.ufunc]
    first: ClassVar[float]

    @property
    def axis(self) -> str:
        """Name of the axis."""
        return str(self.cells.names[0])

    def wavenumbers(self) -> dict[str, Tensor]:
        return {self.axis: math.wrap(np.pi * self._half_waves, spatial(self.axis)) / self.size.vector[self.axis]}

    def restrict(self, coefficients: Tensor) -> Tensor:
        return coefficients[{self.axis: slice(0, self.cells.volume // 2)}]

    def variance_per_cell(self, mode_variance: Tensor) -> Tensor:
        n = self.cells.volume
        squares = self.wave(np.pi * np.outer(np.arange(n) + 0.5, self._half_waves) / n) ** 2
        matrix = math.to_float(math.wrap(squares / squares.sum(0), spatial(self.axis, "_mode")))
        return math.dot(matrix, "_mode", math.rename_dims(mode_variance, self.axis, spatial("_mode")), "_mode")

    @property
    def _half_waves(self) -> np.ndarray:
        return np.arange(self.cells.volume) + self.first

    def _dct(self, values: Tensor) -> Tensor:
        return self._along_axis(operations_of(values.default_backend).dct, values)

    def _idct(self, values: Tensor) -> Tensor:
        return self._along_axis(operations_of(values.default_backend).idct, values)

    def _along_axis(self, function: Callable[[Any], Any], values: Tensor) -> Tensor:
        others = values.shape.without(self.axis)
        result = function(values.native([others, self.axis]))
        return math.reshaped_tensor(result, [others, values.shape.only(self.axis)], convert=False)

    def _flip(self, values: Tensor) -> Tensor:
        return values[{self.axis: slice(None, None, -1)}]

    def _alternate(self, values: Tensor) -> Tensor:
        """Computes (−1)^j · values_j."""
        signs = 1.0 - 2.0 * (np.arange(self.cells.volume) % 2)
        return values * math.to_float(math.wrap(signs, spatial(self.axis)))


class Cosine(RealModes):
    """cos(π n (j + ½) / N): insulated at both sides. The transform is DCT-II."""

    wave = np.cos
    first = 0.0
    conserves_mean = True

    def transform(self, values: Tensor) -> Tensor:
        return self._dct(values)

    def inverse(self, coefficients: Tensor) -> Tensor:
        return self._idct(coefficients)


class Sine(RealModes):
    """
    sin(π (n + 1) (j + ½) / N): fixed at both sides.

    The transform is DST-II; (−1)^j sin(π m (j + ½) / N) is the cosine of N − m half waves.
    """

    wave = np.sin
    first = 1.0

    def transform(self, values: Tensor) -> Tensor:
        return self._flip(self._dct(self._alternate(values)))

    def inverse(self, coefficients: Tensor) -> Tensor:
        return self._alternate(self._idct(self._flip(coefficients)))


class QuarterCosine(RealModes):
    """
    cos(π (n + ½) (j + ½) / N): insulated below, fixed above.

    The transform is DCT-IV, its own inverse: every second mode of the odd extension beyond the upper side.
    """

    wave: ClassVar[np.ufunc] = np.cos
    first = 0.5

    def transform(self, values: Tensor) -> Tensor:
        extended = math.concat([values, -self._flip(values)], self.axis)
        return self._dct(extended)[{self.axis: slice(1, None, 2)}] * float(np.sqrt(0.5))

    def inverse(self, coefficients: Tensor) -> Tensor:
        return self.transform(coefficients)


class QuarterSine(QuarterCosine):
    """
    sin(π (n + ½) (j + ½) / N): fixed below, insulated above.

    The transform is DST-IV, its own inverse: the quarter cosines seen from the other side, with alternating sign.
    """

    wave = np.sin

    def transform(self, values: Tensor) -> Tensor:
        return self._alternate(super().transform(self._flip(values)))
