"""A grid as plain arrays: what all formats hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import batch, channel, spatial

from ..errors import FileError, ParameterError
from ..states import trees
from .boundaries import boundary_of, fitting, in_words, words_of
from .missing import refuse

AXES = ("x", "y", "z")
BATCH, CHANNEL = "batch", "vector"
PRECISIONS = (32, 64)
EQUAL = 1e-3  # of a length, by which one that is given may differ from that of a file
BOUNDARY, COMPONENTS = "boundary", "components"
REMEDIES = {BOUNDARY: "'periodic', or one per axis: 'x=periodic,y=zero-gradient'", COMPONENTS: "['x', 'y']"}
Size = Mapping[str, float] | float


@dataclass(frozen=True)
class GridArray:
    """
    Values of a centered grid, and what is known about it: no more than was said.

    Attributes:
        values: Array in the order of `dims`.
        dims: `batch`, axes out of x, y, z, and `vector` for components; each at most once, at least one axis.
        lower, upper: Bounds per axis, in the order of the axes in `dims`; both `None` for an axis where they are not
            known.
        boundary: See `phi_sip.files.boundaries.boundary_of`; `None` if it is not known.
        units: Of the axes, by name, as far as they are known.
        components: Names of the components, in their order; `None` if they are not known, or there are none.
        unread: What the file says of `boundary` or `components` that has no meaning here, by these names. They are
            then not known, but nothing else may be taken in their place either.

    Raises:
        FileError: if these do not fit together, or values are no real numbers, NaN or infinite.
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
        unknown = [dim for dim in self.dims if dim not in (BATCH, *AXES, CHANNEL)]
        if unknown or len(set(self.dims)) != len(self.dims) or not self.axes:
            raise FileError(
                f"The dims are {', '.join(self.dims) or 'none'}. Give each of batch, x, y, z, vector at most once, "
                f"and at least one axis: --dims says in a file which is which, e.g. --dims batch,y,x."
            )
        if self.values.ndim != len(self.dims) or 0 in self.values.shape:
            raise FileError(f"An array of the shape {self.values.shape} cannot have the dims {', '.join(self.dims)}.")
        if self.values.dtype.kind not in "fiu":
            raise FileError(f"The values are of type {self.values.dtype}. Give real numbers.")
        if not np.isfinite(self.values).all():
            place = self.dims.index(BATCH) if BATCH in self.dims else None
            refuse("NaN or infinity", ~np.isfinite(self.values), place)
        self._check_bounds()
        if self.components is not None:
            _check_components(self.components, self.dims, self.values.shape)

    def _check_bounds(self) -> None:
        if [len(self.lower), len(self.upper)] != [len(self.axes)] * 2 or not all(
            (low is None and high is None)
            or (low is not None and high is not None and np.isfinite([low, high]).all() and low < high)
            for low, high in zip(self.lower, self.upper, strict=False)
        ):
            raise FileError(f"The bounds {self.lower} to {self.upper} do not fit the axes {', '.join(self.axes)}.")

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes, in the order of `dims`."""
        return tuple(dim for dim in self.dims if dim in AXES)

    @property
    def resolution(self) -> tuple[int, ...]:
        """Number of cells along each axis."""
        return tuple(size for size, dim in zip(self.values.shape, self.dims, strict=True) if dim in AXES)

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """From where to where each axis goes, by name, as far as it is known."""
        sides = zip(self.axes, self.lower, self.upper, strict=True)
        return {axis: (low, high) for axis, low, high in sides if low is not None and high is not None}

    @property
    def cell_size(self) -> tuple[float, ...]:
        """
        Length of a cell along each axis.

        Raises:
            ParameterError: if it is not known of all axes.
        """
        self._check_known()
        sides = zip(self.bounds.values(), self.resolution, strict=True)
        return tuple((high - low) / n for (low, high), n in sides)

    def told(
        self, boundary: Any = None, size: Size | None = None, components: Sequence[str] | None = None
    ) -> GridArray:
        """
        The same with what its file does not say.

        Args:
            boundary: Words, see `phi_sip.files.boundaries.boundary_of`, or a boundary of PhiFlow that has some; in
                place of that of the file.
            size: Length of the domain along each axis, by name, or one for all: `{"x": 20.0, "y": 3.0}`. Axes whose
                bounds are not known begin at 0.
            components: Names of the components, in their order.

        Raises:
            ParameterError: if these do not fit the grid, lengths or components are others than in the file, or the file
                says of boundary or components what has no meaning here, and they are not given.
        """
        given = {BOUNDARY: boundary, COMPONENTS: components}
        for name, said in self.unread.items():
            if given[name] is None:
                raise ParameterError(
                    f"The file says {name} = {said}, which has no meaning here. Give {name}= (--{name} in commands), "
                    f"e.g. {REMEDIES[name]}."
                )
        lengths = self._lengths(size)
        for axis, (low, high) in self.bounds.items():
            if axis in lengths and abs(lengths[axis] - (high - low)) > EQUAL * (high - low):
                raise ParameterError(
                    f"size of {axis} = {lengths[axis]:g}, but the file says {high - low:g}. The size is the length of "
                    f"the whole domain, not of a cell. Leave it out, or correct the file."
                )
        bounds = {**{axis: (0.0, length) for axis, length in lengths.items()}, **self.bounds}
        names = self.components if components is None else tuple(components)
        if names is not None and components is not None:
            try:
                _check_components(names, self.dims, self.values.shape)
            except FileError as error:
                raise ParameterError(f"components = {','.join(names)}: {error}") from error
            if self.components not in (None, names):
                raise ParameterError(
                    f"components = {','.join(names)}, but the file says {','.join(self.components or ())}. Leave it "
                    f"out, or correct the file."
                )
        return replace(
            self,
            lower=tuple(bounds[axis][0] if axis in bounds else None for axis in self.axes),
            upper=tuple(bounds[axis][1] if axis in bounds else None for axis in self.axes),
            boundary=self.boundary
            if boundary is None
            else fitting(in_words(boundary), {axis: axis for axis in self.axes}),
            components=names,
            unread={},
        )

    def _lengths(self, size: Size | None) -> dict[str, float]:
        each = {} if size is None else dict.fromkeys(self.axes, size)
        given: Mapping[Any, Any] = size if isinstance(size, Mapping) else each
        for axis, length in given.items():
            positive = isinstance(length, (int, float, np.number)) and np.isfinite(length) and length > 0
            if axis not in self.axes or not positive or isinstance(length, bool):
                raise ParameterError(
                    f"size of {axis} = {length!r}, but it must be the length > 0 of the domain along one of the axes "
                    f"{', '.join(self.axes)}."
                )
        return {axis: float(length) for axis, length in given.items()}

    def _check_known(self) -> None:
        unknown = [axis for axis in self.axes if axis not in self.bounds]
        if unknown:
            cells = dict(zip(self.axes, self.resolution, strict=True))
            lengths = ", ".join(f"'{axis}': {cells[axis]}" for axis in unknown)
            raise ParameterError(
                f"Nothing says how long the grid is along {', '.join(unknown)}. Give size=, the length of the domain "
                f"by axis (--size in commands); for cells of length 1 it is size={{{lengths}}}."
            )

    def to_field(
        self,
        boundary: Any = None,
        precision: int = 64,
        size: Size | None = None,
        components: Sequence[str] | None = None,
    ) -> Field:
        """
        A centered grid on the default backend, with a batch dim.

        Args:
            boundary: See `told`.
            precision: Bits of the numbers: 32 or 64.
            size: See `told`.
            components: See `told`.

        Raises:
            ParameterError: if an argument is out of range, or bounds, boundary or the order of components are neither
                known nor given.
        """
        if precision not in PRECISIONS:
            raise ParameterError(f"precision = {precision}, but it must be 32 or 64.")
        grid = self.told(boundary, size, components).batch_first().by_axes()
        grid._check_known()
        if grid.boundary is None:
            raise ParameterError(
                "Nothing says what holds at the sides of the grid. Give boundary= (--boundary in commands), e.g. "
                "'periodic', 'zero-gradient' or 'zero', or one per axis: 'x=periodic,y=zero-gradient'."
            )
        sizes = dict(zip(grid.dims, grid.values.shape, strict=True))
        shapes = {BATCH: lambda: batch(batch=sizes[BATCH]), CHANNEL: lambda: channel(vector=grid._items)}
        with math.precision(precision):
            values = grid.values.astype(f"float{precision}")
            tensor = math.tensor(values, *(shapes[d]() if d in shapes else spatial(**{d: sizes[d]}) for d in grid.dims))
            axes = sorted(grid.axes)  # PhiFlow combines boxes of one order of axes only; values may have any
            box = Box(**{axis: grid.bounds[axis] for axis in axes})
            resolution = spatial(**{axis: sizes[axis] for axis in axes})
            return CenteredGrid(tensor, boundary_of(grid.boundary), bounds=box, resolution=resolution)

    @property
    def _items(self) -> list[str] | int:
        return list(self.components) if self.components else self.values.shape[self.dims.index(CHANNEL)]

    @staticmethod
    def of_field(field: Field) -> GridArray:
        """The values of a centered grid."""
        with math.precision(trees.precision_of(field)):  # PhiML rounds to the current one
            values = math.expand(field.values, field.resolution)
            shape = values.shape
            axes = shape.spatial.names
            corners = (field.bounds.lower, field.bounds.upper)
            lower, upper = (tuple(float(corner.vector[axis]) for axis in axes) for corner in corners)
            dims = [*([shape.batch] if shape.batch else []), *axes, *shape.channel.names]
            names = (*([BATCH] if shape.batch else []), *axes, *([CHANNEL] if shape.channel else []))
            items = shape.channel.item_names[0] if shape.channel.rank == 1 else None
            components = tuple(items) if items else None
            return GridArray(values.numpy(dims), names, lower, upper, words_of(field.boundary), components=components)

    def batch_first(self) -> GridArray:
        """The same with the dim `batch` first, of size 1 where there was none."""
        if BATCH not in self.dims:
            return replace(self, values=self.values[None], dims=(BATCH, *self.dims))
        return self.permuted((BATCH, *(dim for dim in self.dims if dim != BATCH)))

    def in_order(self) -> GridArray:
        """The same in the order batch, x, y, z, vector: so files of any order of dims are put together."""
        grid = self.batch_first().by_axes()
        return grid.permuted(tuple(dim for dim in (BATCH, *AXES, CHANNEL) if dim in grid.dims))

    def permuted(self, dims: tuple[str, ...]) -> GridArray:
        """The same with its dims in another order."""
        places = {axis: i for i, axis in enumerate(self.axes)}
        order = [places[dim] for dim in dims if dim in places]
        return replace(
            self,
            values=np.transpose(self.values, [self.dims.index(dim) for dim in dims]),
            dims=dims,
            lower=tuple(self.lower[i] for i in order),
            upper=tuple(self.upper[i] for i in order),
        )

    def by_axes(self) -> GridArray:
        """
        The same with components along axes named, and in the order x, y, z. Components that nobody has named, as many
        as axes, are those along x, y, z.

        Raises:
            ParameterError: if the axes have another order, so that the components could be in either.
        """
        if CHANNEL not in self.dims:
            return self
        place = self.dims.index(CHANNEL)
        if self.components is None:
            if self.values.shape[place] != len(self.axes):
                return self
            if self.axes != tuple(sorted(self.axes)):
                raise ParameterError(
                    f"Nothing says which component is along which axis: the dims are {', '.join(self.dims)}. Give "
                    f"their names in order, components={list(self.axes)!r} or {sorted(self.axes)!r} (--components in "
                    f"commands)."
                )
            return replace(self, components=self.axes)
        axes = tuple(sorted(self.axes))
        if set(self.components) != set(axes) or self.components == axes:
            return self
        order = [self.components.index(axis) for axis in axes]
        return replace(self, values=np.take(self.values, order, axis=place), components=axes)

    def fits(self, other: GridArray) -> bool:
        """Whether samples of both can be put together: all but their number agrees, bounds up to rounding."""
        if (*self.cells[:2], *self.cells[4:]) != (*other.cells[:2], *other.cells[4:]) or set(self.bounds) != set(
            other.bounds
        ):
            return False
        cells = dict(zip(self.axes, self.resolution, strict=True))
        return all(
            np.allclose(other.bounds[axis], (low, high), rtol=0, atol=EQUAL * (high - low) / cells[axis])
            for axis, (low, high) in self.bounds.items()
        )

    @property
    def cells(self) -> tuple[Any, ...]:
        """What grids whose samples are put together have in common: all but the number of samples."""
        sizes = tuple(size for dim, size in zip(self.dims, self.values.shape, strict=True) if dim != BATCH)
        dims = tuple(dim for dim in self.dims if dim != BATCH)
        return dims, sizes, self.lower, self.upper, self.boundary, self.components


def named(
    values: np.ndarray,
    dims: tuple[str, ...],
    bounds: Mapping[str, tuple[float, float] | None],
    renamed: Mapping[str, str],
    *,
    boundary: Any = None,
    components: Iterable[str] | None = None,
    units: Mapping[str, str] | None = None,
    unread: Mapping[str, str] | None = None,
) -> GridArray:
    """
    A grid of a file.

    Args:
        values: In the order of `dims`.
        dims: See `GridArray`.
        bounds: By axis.
        renamed: Dims by their names in the file, which are those that `boundary` and `components` mean.
        boundary: As the file says; `None` or '' if it says nothing.
        components: Their names.
        unread: See `GridArray`; of components.
        units: By axis.
    """
    axes = {own: dim for own, dim in renamed.items() if dim in AXES}
    pairs = [bounds.get(dim) or (None, None) for dim in dims if dim in AXES]
    try:
        words = fitting(boundary, axes) if isinstance(boundary, str) and boundary else None
    except ParameterError:
        words = None
    if words is None and boundary not in (None, ""):
        unread = {**(unread or {}), BOUNDARY: f"'{boundary}'"}
    return GridArray(
        values,
        dims,
        tuple(low for low, _ in pairs),
        tuple(high for _, high in pairs),
        words,
        units or {},
        None if components is None else tuple(axes.get(name, name) for name in components),
        unread or {},
    )


def joined(grids: Sequence[GridArray]) -> GridArray:
    """The samples of grids of the same cells, whose dim `batch` is first, as one."""
    return replace(grids[0], values=np.concatenate([grid.values for grid in grids]))


def usual_dims(rank: int) -> tuple[str, ...]:
    """batch, x, … of an array of which nothing else is known."""
    if not 2 <= rank <= 4:
        raise FileError(f"An array of rank {rank} is no batch of grids. Say which dims it has, e.g. --dims x,y.")
    return (BATCH, *AXES[: rank - 1])


def _check_components(names: Sequence[str], dims: Sequence[str], shape: Sequence[int]) -> None:
    count = shape[dims.index(CHANNEL)] if CHANNEL in dims else 0
    if len(names) != count or len(set(names)) != count or not all(isinstance(n, str) and n for n in names):
        raise FileError(
            f"The components are called {', '.join(map(str, names)) or 'nothing'}, but there are {count}. Each needs a "
            f"name of its own."
        )
