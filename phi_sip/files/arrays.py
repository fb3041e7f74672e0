"""A grid as plain arrays: what all formats hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial

from .. import trees
from ..errors import FileError, ParameterError

AXES = ("x", "y", "z")
BATCH, CHANNEL = "batch", "vector"
PRECISIONS = (32, 64)
BOUNDARIES: dict[str, Callable[[], Any]] = {
    "periodic": lambda: extrapolation.PERIODIC,
    "zero-gradient": lambda: extrapolation.ZERO_GRADIENT,
    "zero": lambda: extrapolation.ZERO,
}


@dataclass(frozen=True)
class GridArray:
    """
    Values of a centered grid.

    Attributes:
        values: Array in the order of `dims`.
        dims: `batch`, axes out of x, y, z, and `vector` for components; each at most once, at least one axis.
        lower, upper: Bounds per axis, in the order of the axes in `dims`.
        boundary: One of `BOUNDARIES`; `None` if it is not known.
        units: Of the axes, by name, as far as they are known.
        located: Whether the bounds are known; else they are those of cells of length 1 from the origin.

    Raises:
        FileError: if these do not fit together, or values are no real numbers, NaN or infinite.
    """

    values: np.ndarray
    dims: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    boundary: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    located: bool = True

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
            raise FileError("The values hold NaN or infinity. Remove or repair these samples.")
        sizes = [len(bounds) for bounds in (self.lower, self.upper)]
        finite = np.isfinite([*self.lower, *self.upper]).all()
        if sizes != [len(self.axes)] * 2 or not finite or not np.less(self.lower, self.upper).all():
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
    def cell_size(self) -> tuple[float, ...]:
        """Length of a cell along each axis."""
        sides = zip(self.lower, self.upper, self.resolution, strict=True)
        return tuple((upper - lower) / n for lower, upper, n in sides)

    def to_field(self, boundary: str | None = None, precision: int = 64) -> Field:
        """
        A centered grid on the default backend, with a batch dim.

        Args:
            boundary: One of `BOUNDARIES`. Default: that of the grid, or `periodic` where it is not known.
            precision: Bits of the numbers: 32 or 64.

        Raises:
            ParameterError: if there is no such boundary or precision.
        """
        boundary = boundary or self.boundary or "periodic"
        if boundary not in BOUNDARIES:
            raise ParameterError(f"boundary = '{boundary}', but it must be one of {', '.join(BOUNDARIES)}.")
        if precision not in PRECISIONS:
            raise ParameterError(f"precision = {precision}, but it must be 32 or 64.")
        values = self.values.astype(f"float{precision}")
        dims = self.dims if BATCH in self.dims else (BATCH, *self.dims)
        values = values if BATCH in self.dims else values[None]
        sizes = dict(zip(dims, values.shape, strict=True))
        shapes = {
            BATCH: lambda: batch(batch=sizes[BATCH]),
            CHANNEL: lambda: (
                channel(vector=list(self.axes)) if sizes[CHANNEL] == len(self.axes) else channel(vector=sizes[CHANNEL])
            ),
        }
        with math.precision(precision):
            tensor = math.tensor(values, *(shapes[d]() if d in shapes else spatial(**{d: sizes[d]}) for d in dims))
            bounds = Box(**{a: (lo, up) for a, lo, up in zip(self.axes, self.lower, self.upper, strict=True)})
            resolution = spatial(**{axis: sizes[axis] for axis in self.axes})
            return CenteredGrid(tensor, BOUNDARIES[boundary](), bounds=bounds, resolution=resolution)

    @staticmethod
    def of_field(field: Field) -> GridArray:
        """The values of a centered grid."""
        axes = field.resolution.names
        lower, upper = (
            tuple(float(corner.vector[axis]) for axis in axes) for corner in (field.bounds.lower, field.bounds.upper)
        )
        with math.precision(trees.precision_of(field)):  # PhiML rounds to the current one
            values = math.expand(field.values, field.resolution)
            shape = values.shape
            dims = [*([shape.batch] if shape.batch else []), *axes, *shape.channel.names]
            names = (*([BATCH] if shape.batch else []), *axes, *([CHANNEL] if shape.channel else []))
            return GridArray(values.numpy(dims), names, lower, upper, _name_of(field.boundary))

    def batch_first(self) -> GridArray:
        """The same with the dim `batch` first, of size 1 where there was none."""
        if BATCH not in self.dims:
            return replace(self, values=self.values[None], dims=(BATCH, *self.dims))
        dims = (BATCH, *(dim for dim in self.dims if dim != BATCH))
        return replace(self, values=np.moveaxis(self.values, self.dims.index(BATCH), 0), dims=dims)

    @property
    def cells(self) -> tuple[Any, ...]:
        """What grids whose samples are put together have in common: dims, sizes without `batch`, and bounds."""
        sizes = tuple(size for dim, size in zip(self.dims, self.values.shape, strict=True) if dim != BATCH)
        return tuple(dim for dim in self.dims if dim != BATCH), sizes, self.lower, self.upper


def joined(grids: Sequence[GridArray]) -> GridArray:
    """The samples of grids of the same cells, whose dim `batch` is first, as one."""
    return replace(grids[0], values=np.concatenate([grid.values for grid in grids]))


def _name_of(boundary: Any) -> str | None:
    return next((name for name, make in BOUNDARIES.items() if boundary == make()), None)


def unit_cells(values: np.ndarray, dims: tuple[str, ...]) -> GridArray:
    """A grid of cells of length 1 from the origin."""
    if values.ndim != len(dims):
        raise FileError(f"An array of the shape {values.shape} cannot have the dims {', '.join(dims)}.")
    sizes = tuple(float(size) for size, dim in zip(values.shape, dims, strict=True) if dim in AXES)
    return GridArray(values, dims, (0.0,) * len(sizes), sizes, located=False)


def usual_dims(rank: int) -> tuple[str, ...]:
    """batch, x, … of an array of which nothing else is known."""
    if not 2 <= rank <= 4:
        raise FileError(f"An array of rank {rank} is no batch of grids. Say which dims it has, e.g. --dims x,y.")
    return (BATCH, *AXES[: rank - 1])
