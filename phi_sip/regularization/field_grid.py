"""The grid of a field that is inverted by iterations, and what holds at its sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from phiml.backend import Backend

from ..gaussian_process import GridModes, StateGrid
from ..spectral.differences import Difference
from ..spectral.sides import Fixed, Insulated, Periodic, Side


@dataclass(frozen=True)
class FieldGrid:
    """
    A grid with sides. Where the lower and the upper one are fixed to 0, the field is 0 outside; at other sides that
    are not periodic nothing is said of it.

    Attributes:
        cells: The grid of the values.
        sides: Lower and upper side of each axis.
    """

    cells: StateGrid
    sides: tuple[tuple[Side, Side], ...]

    @property
    def modes(self) -> GridModes:
        """The modes in which squares of differences are diagonal."""
        return self.cells.modes([self._vanishes(axis) for axis in range(len(self.sides))])

    @property
    def holds_constant(self) -> bool:
        """Whether a constant has no differences."""
        return not any(self._vanishes(axis) for axis in range(len(self.sides)))

    def differences(self, backend: Backend) -> Sequence[Difference]:
        """Returns one difference per axis, for native tensors of rows and then the dims of the grid."""
        count = len(self.cells.sizes)
        return [
            Difference(backend, place - count, weight, self._sides_of(axis))
            for axis, (place, weight) in enumerate(zip(self.cells.axes, self._weights(), strict=True))
        ]

    def eigenvalues(self) -> np.ndarray:
        """Computes the eigenvalues Σ_a 4 w_a² sin²(k_a dx_a / 2) of the squares of differences, per mode."""
        cells, total = self.cells, np.zeros(self.cells.sizes)
        for k_squared, axis, length, weight in zip(
            self.modes.k_squared_of_axes(), cells.axes, cells.lengths, self._weights(), strict=True
        ):
            half = np.sqrt(k_squared).reshape(cells.sizes) * (length / cells.sizes[axis] / 2)
            total = total + 4 * weight**2 * np.sin(half) ** 2
        return total.reshape(-1)

    def _vanishes(self, axis: int) -> bool:
        return self.sides[axis] == (Fixed(0.0), Fixed(0.0))

    def _sides_of(self, axis: int) -> tuple[Side, Side]:
        if self._vanishes(axis):
            return self.sides[axis]
        return (Periodic(), Periodic()) if self.cells.periodic[axis] else (Insulated(), Insulated())

    def _weights(self) -> Sequence[float]:
        """Computes 1 / cell size per axis, in units of the smallest cell."""
        lengths = [
            length / self.cells.sizes[axis] for axis, length in zip(self.cells.axes, self.cells.lengths, strict=True)
        ]
        return [min(lengths) / length for length in lengths]
