"""The grid of a state whose values stand in one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from .axis_modes import COSINES, PERIODIC, SINES, AxisModes, Transform


@dataclass(frozen=True)
class StateGrid:
    """
    A uniform grid with any number of components.

    Attributes:
        sizes: Of all dims of the columns, one after the other.
        axes: Which of them are axes of the grid; all others count components.
        lengths: Edge lengths of the domain, in the order of `axes`.
        periodic: Whether each axis is periodic.
    """

    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    lengths: tuple[float, ...]
    periodic: tuple[bool, ...]

    def modes(self, vanishes: Sequence[bool]) -> GridModes:
        """Returns the modes of states that vanish at the sides of some axes: sines there, cosines along others."""
        kinds = [SINES if zero else COSINES for zero in vanishes]
        return GridModes(self, tuple(PERIODIC if p else kind for p, kind in zip(self.periodic, kinds, strict=True)))

    def families(self) -> Sequence[GridModes]:
        """
        Returns the modes that a state may consist of. Where an axis is not periodic, nothing says what the state does
        at its sides: cosines leave that open, sines vanish there.
        """
        if all(self.periodic):
            return [self.modes([False] * len(self.axes))]
        return [self.modes([vanishes] * len(self.axes)) for vanishes in (False, True)]


@dataclass(frozen=True)
class GridModes:
    """
    Orthonormal eigenfunctions φ_k of the Laplacian on a grid, products of those of its axes.

    Attributes:
        grid: The grid.
        kinds: Modes of each axis.
    """

    grid: StateGrid
    kinds: tuple[AxisModes, ...]

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Computes the coefficients of rows of values, shape (rows, columns)."""
        return self._along_axes(rows, [kind.transform for kind in self.kinds])

    def inverse(self, rows: np.ndarray) -> np.ndarray:
        """Computes the values of rows of coefficients, shape (rows, columns)."""
        return self._along_axes(rows, [kind.inverse for kind in self.kinds])

    def _along_axes(self, rows: np.ndarray, transforms: Sequence[Transform]) -> np.ndarray:
        values = rows.reshape(len(rows), *self.grid.sizes)
        for axis, transform in zip(self.grid.axes, transforms, strict=True):
            values = transform(values, axis + 1)
        return values.reshape(rows.shape)

    def k_squared(self) -> np.ndarray:
        """Computes |k|² of each column."""
        whole: np.ndarray = reduce(np.add, self.k_squared_of_axes())
        return whole

    def k_squared_of_axes(self) -> Sequence[np.ndarray]:
        """Computes k_a² of each column for each axis a."""
        found = []
        for axis, length, kind in zip(self.grid.axes, self.grid.lengths, self.kinds, strict=True):
            shape = [1] * len(self.grid.sizes)
            shape[axis] = -1
            own = kind.wavenumbers(self.grid.sizes[axis], length).reshape(shape) ** 2
            found.append(np.broadcast_to(own, self.grid.sizes).reshape(-1))
        return found

    def variance(self, power: np.ndarray) -> np.ndarray:
        """Computes Σ_k S_k φ_k(x)² per column, from S_k per column."""
        values = power.reshape(self.grid.sizes)
        for axis, kind in zip(self.grid.axes, self.kinds, strict=True):
            squares = kind.squared(self.grid.sizes[axis])
            values = np.moveaxis(np.tensordot(values, squares, (axis, 0)), -1, axis)
        return values.reshape(-1)
