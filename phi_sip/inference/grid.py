"""The grid that a network was trained on: of its cells it knows nothing but their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from phi.field import Field

from ..errors import GridMismatchError
from ..files import GridArray
from ..files.arrays import BOUNDARIES

UNEQUAL = 1e-3  # relative, by which lengths of cells may differ: files often hold rounded centers


@dataclass(frozen=True)
class TrainingGrid:
    """
    What a trained inverse takes for granted. The number of cells is free.

    Attributes:
        axes: Names of the axes.
        cell_size: Length of a cell along each.
        boundary: One of `phi_sip.files.arrays.BOUNDARIES`; `None` if it has no name there.
    """

    axes: tuple[str, ...]
    cell_size: tuple[float, ...]
    boundary: str | None

    @staticmethod
    def of(field: Field) -> TrainingGrid:
        """The grid of a field."""
        grid = GridArray.of_field(field)
        return TrainingGrid(grid.axes, grid.cell_size, grid.boundary)

    @staticmethod
    def of_description(description: Mapping[str, Any]) -> TrainingGrid:
        """
        From what `describe` returned.

        Raises:
            KeyError, TypeError, ValueError: if it is no such description.
        """
        axes, lengths = tuple(description["axes"]), tuple(map(float, description["cell_size"]))
        boundary = description["boundary"]
        named = len(set(axes)) == len(axes) == len(lengths) > 0 and all(str(axis).isidentifier() for axis in axes)
        if not named or not all(0 < length < np.inf for length in lengths) or boundary not in (None, *BOUNDARIES):
            raise ValueError(f"axes {axes}, cells of {lengths} and boundary {boundary!r} are no grid")
        return TrainingGrid(axes, lengths, boundary)

    def describe(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def completed(self, grid: GridArray) -> GridArray:
        """A grid with what its file did not tell: bounds by cells as in training, and the boundary."""
        grid = replace(grid, boundary=grid.boundary or self.boundary)
        if grid.located or set(grid.axes) != set(self.axes):
            return grid
        lengths = dict(zip(self.axes, self.cell_size, strict=True))
        upper = tuple(n * lengths[axis] for n, axis in zip(grid.resolution, grid.axes, strict=True))
        return replace(grid, lower=(0.0,) * len(upper), upper=upper)

    def check(self, field: Field) -> None:
        """
        Compares a field with it.

        Raises:
            GridMismatchError: if axes, lengths of cells, or boundary differ.
        """
        found = TrainingGrid.of(field)
        if set(found.axes) != set(self.axes):
            raise GridMismatchError(
                f"The observations have the axes {', '.join(found.axes)}, but the network was trained on "
                f"{', '.join(self.axes)}. Rename the axes (--dims for files), or train on such grids."
            )
        order = [found.axes.index(axis) for axis in self.axes]
        lengths = tuple(found.cell_size[i] for i in order)
        if not np.allclose(lengths, self.cell_size, rtol=UNEQUAL, atol=0):
            raise GridMismatchError(
                f"The observations have cells of {_product(lengths)}, but the network was trained on cells of "
                f"{_product(self.cell_size)} ({', '.join(self.axes)}) and does not know lengths. Interpolate the "
                f"observations to such cells, or train with theirs."
            )
        if None not in (found.boundary, self.boundary) and found.boundary != self.boundary:
            raise GridMismatchError(
                f"The observations have a {found.boundary} boundary, but the network was trained on {self.boundary} "
                f"ones. Train with the boundary of the observations."
            )


def _product(lengths: tuple[float, ...]) -> str:
    return " × ".join(f"{length:.6g}" for length in lengths)
