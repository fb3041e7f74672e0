"""The grid that a network was trained on: of its cells it knows nothing but their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from phi.field import Field

from ..errors import GridMismatchError, ParameterError
from ..files import GridArray
from ..files.arrays import BOUNDARY
from ..files.boundaries import boundary_of
from ..states.order import by_name

UNEQUAL = 1e-3  # relative, by which lengths of cells may differ: files often hold rounded centers


@dataclass(frozen=True)
class TrainingGrid:
    """
    What a trained inverse takes for granted. The number of cells is free.

    Attributes:
        axes: Names of the axes, in the order in which the network takes them.
        cell_size: Length of a cell along each.
        boundary: See `phi_sip.files.boundaries.words_of`; `None` if it has no words.
    """

    axes: tuple[str, ...]
    cell_size: tuple[float, ...]
    boundary: str | None

    @staticmethod
    def of(field: Field) -> TrainingGrid:
        """Returns the grid of a field."""
        grid = GridArray.of_field(field)
        lengths = dict(zip(grid.axes, grid.cell_size, strict=True))
        axes = by_name(grid.axes)
        return TrainingGrid(axes, tuple(lengths[axis] for axis in axes), grid.boundary)

    @staticmethod
    def of_description(description: Mapping[str, Any]) -> TrainingGrid:
        """
        Makes what `describe` has described.

        Raises:
            KeyError, TypeError, ValueError: if it is no such description.
        """
        axes, lengths = tuple(description["axes"]), tuple(map(float, description["cell_size"]))
        boundary = description["boundary"]
        named = len(set(axes)) == len(axes) == len(lengths) > 0 and all(str(axis).isidentifier() for axis in axes)
        if not named or not all(0 < length < np.inf for length in lengths) or not isinstance(boundary, str | None):
            raise ValueError(f"axes {axes}, cells of {lengths} and boundary {boundary!r} are no grid")
        try:
            if boundary is not None:
                boundary_of(boundary)
        except ParameterError as error:
            raise ValueError(str(error)) from error
        return TrainingGrid(axes, lengths, boundary)

    def describe(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return asdict(self)

    def completed(self, grid: GridArray) -> GridArray:
        """
        Returns a grid with what its file did not tell: bounds by cells as in training, and the boundary.

        Raises:
            GridMismatchError: if it has other axes.
            ParameterError: if its file says a boundary that has no meaning here.
        """
        self._check_axes(grid.axes)
        cells = dict(zip(self.axes, self.cell_size, strict=True))
        lengths = {a: n * cells[a] for a, n in zip(grid.axes, grid.resolution, strict=True) if a not in grid.bounds}
        return grid.told(None if BOUNDARY in grid.unread else grid.boundary or self.boundary, lengths)

    def check(self, field: Field) -> None:
        """
        Compares a field with it.

        Raises:
            GridMismatchError: if axes, lengths of cells, or boundary differ.
        """
        found = TrainingGrid.of(field)
        self._check_axes(found.axes)
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

    def _check_axes(self, axes: Sequence[str]) -> None:
        if set(axes) != set(self.axes):
            raise GridMismatchError(
                f"The observations have the axes {', '.join(axes)}, but the network was trained on "
                f"{', '.join(self.axes)}. Rename the axes (--dims for files), or train on such grids."
            )


def _product(lengths: tuple[float, ...]) -> str:
    return " × ".join(f"{length:.6g}" for length in lengths)
