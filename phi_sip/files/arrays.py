"""A grid as plain arrays, which is what all file formats hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from phi.field import Field

from .boundaries import fitting, in_words, words_of
from .components import check_components, completed_components, components_along_axes
from .dims import AXES, BATCH, CHANNEL, axes_in, check_dims
from .domain import EQUAL, Bounds, Size, check_bounds, completed_bounds, sides_of
from .fields import arrays_of, centered_grid, check_precision
from .refusals import check_numbers
from .required import check_bounds_known, check_understood, known_boundary


@dataclass(frozen=True)
class GridArray:
    """
    The values of a centered grid, and what is known about the grid.

    Attributes:
        values: Array of real, finite numbers.
        dims: Names of the dims of `values`, in order: `batch`, the axes x, y, z, and `vector` for components. Each
            occurs at most once, and there is at least one axis.
        lower: Lower bounds of the axes, in the order of `dims`; `None` for an axis whose bounds are unknown.
        upper: Upper bounds, as `lower`.
        boundary: Boundary conditions in words, see `phi_sip.files.boundaries.boundary_of`; `None` if unknown.
        units: Units of the axes by name, where they are known.
        components: Names of the components in order; `None` if they are unknown, or there are none.
        unread: What the file says about `boundary` or `components` but phi_sip does not understand, by these names.
            Such an attribute is `None`, and the user must give it: no default takes its place.

    Raises:
        FileError: if the attributes do not fit together, or a value is no real number, NaN or infinite.
    """

    values: np.ndarray
    dims: tuple[str, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]
    boundary: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    components: tuple[str, ...] | None = None
    unread: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_dims(self.dims, self.values.shape)
        check_numbers(self.values, self.dims.index(BATCH) if BATCH in self.dims else None)
        check_bounds(self.axes, self.lower, self.upper)
        if self.components is not None:
            check_components(self.components, self.dims, self.values.shape)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes, in the order of `dims`."""
        return axes_in(self.dims)

    @property
    def resolution(self) -> tuple[int, ...]:
        """Number of cells along each axis."""
        return tuple(size for size, dim in zip(self.values.shape, self.dims, strict=True) if dim in AXES)

    @property
    def bounds(self) -> dict[str, Bounds]:
        """Lower and upper bound by axis, for the axes whose bounds are known."""
        sides = zip(self.axes, self.lower, self.upper, strict=True)
        return {axis: (low, high) for axis, low, high in sides if low is not None and high is not None}

    @property
    def cell_size(self) -> tuple[float, ...]:
        """
        Length of a cell along each axis.

        Raises:
            ParameterError: if the bounds of an axis are unknown.
        """
        check_bounds_known(self.axes, self.resolution, self.bounds)
        sides = zip(self.bounds.values(), self.resolution, strict=True)
        return tuple((high - low) / n for (low, high), n in sides)

    def told(
        self, boundary: Any = None, size: Size | None = None, components: Sequence[str] | None = None
    ) -> GridArray:
        """
        Returns this grid, completed by what the user says about it.

        Args:
            boundary: Boundary conditions in words, see `phi_sip.files.boundaries.boundary_of`, or as PhiFlow takes
                them. They replace those of the file.
            size: Length of the domain along each axis, by name, or one for all axes: `{"x": 20.0, "y": 3.0}`. Axes
                whose bounds are unknown begin at 0.
            components: Names of the components in order.

        Raises:
            ParameterError: if an argument does not fit the grid, lengths or components differ from those of the file,
                or the file has a boundary or components without a meaning here and no argument replaces them.
        """
        check_understood(self.unread, boundary=boundary, components=components)
        bounds = completed_bounds(self.axes, self.bounds, size)
        names = completed_components(components, self.components, self.dims, self.values.shape)
        lower, upper = sides_of(bounds, self.axes)
        words = self.boundary if boundary is None else fitting(in_words(boundary), {axis: axis for axis in self.axes})
        return replace(self, lower=lower, upper=upper, boundary=words, components=names, unread={})

    def to_field(
        self,
        boundary: Any = None,
        precision: int = 64,
        size: Size | None = None,
        components: Sequence[str] | None = None,
    ) -> Field:
        """
        Returns this grid as a `CenteredGrid` on the default backend, with a batch dim.

        Args:
            boundary: See `told`.
            precision: Bits of the numbers: 32 or 64.
            size: See `told`.
            components: See `told`.

        Raises:
            ParameterError: if an argument is out of range, or bounds, boundary or the order of the components are
                neither known nor given.
        """
        check_precision(precision)
        grid = self.told(boundary, size, components).batch_first().by_axes()
        check_bounds_known(grid.axes, grid.resolution, grid.bounds)
        words = known_boundary(grid.boundary)
        return centered_grid(grid.values, grid.dims, grid.bounds, words, grid.components, precision)

    @staticmethod
    def of_field(field: Field) -> GridArray:
        """Returns a centered grid of PhiFlow as plain arrays."""
        values, dims, bounds, components = arrays_of(field)
        lower, upper = sides_of(bounds, axes_in(dims))
        return GridArray(values, dims, lower, upper, words_of(field.boundary), components=components)

    def batch_first(self) -> GridArray:
        """Returns this grid with the dim `batch` first; a grid that has none gets one of size 1."""
        if BATCH not in self.dims:
            return replace(self, values=self.values[None], dims=(BATCH, *self.dims))
        return self.permuted((BATCH, *(dim for dim in self.dims if dim != BATCH)))

    def in_order(self) -> GridArray:
        """Returns this grid in the order batch, x, y, z, vector, in which grids of all files can be joined."""
        grid = self.batch_first().by_axes()
        return grid.permuted(tuple(dim for dim in (BATCH, *AXES, CHANNEL) if dim in grid.dims))

    def permuted(self, dims: tuple[str, ...]) -> GridArray:
        """Returns this grid with its dims in another order."""
        lower, upper = sides_of(self.bounds, axes_in(dims))
        values = np.transpose(self.values, [self.dims.index(dim) for dim in dims])
        return replace(self, values=values, dims=dims, lower=lower, upper=upper)

    def by_axes(self) -> GridArray:
        """
        Returns this grid with the components along its axes named, and in the order x, y, z. Components without names,
        as many as axes, are taken for those along x, y, z.

        Raises:
            ParameterError: if the axes have another order, so that the order of the components is uncertain.
        """
        if CHANNEL not in self.dims:
            return self
        place = self.dims.index(CHANNEL)
        order = components_along_axes(self.components, self.dims, self.values.shape[place])
        if order is None:
            return self
        return replace(self, values=np.take(self.values, order, axis=place), components=tuple(sorted(self.axes)))

    def fits(self, other: GridArray) -> bool:
        """Tells whether two grids can be joined: all but the number of samples agrees, bounds up to rounding."""
        if self._but_bounds != other._but_bounds or set(self.bounds) != set(other.bounds):
            return False
        cells = dict(zip(self.axes, self.resolution, strict=True))
        return all(
            np.allclose(other.bounds[axis], (low, high), rtol=0, atol=EQUAL * (high - low) / cells[axis])
            for axis, (low, high) in self.bounds.items()
        )

    @property
    def cells(self) -> tuple[Any, ...]:
        """All but the values and the number of samples; what grids have in common that can be joined."""
        dims, sizes, boundary, components = self._but_bounds
        return dims, sizes, self.lower, self.upper, boundary, components

    @property
    def _but_bounds(self) -> tuple[Any, ...]:
        sizes = {dim: size for dim, size in zip(self.dims, self.values.shape, strict=True) if dim != BATCH}
        return tuple(sizes), tuple(sizes.values()), self.boundary, self.components


def joined(grids: Sequence[GridArray]) -> GridArray:
    """Returns one grid of the samples of several grids. They have the same cells, and `batch` is their first dim."""
    return replace(grids[0], values=np.concatenate([grid.values for grid in grids]))
