"""Random shifts, reflections and changes of scale, which make many states of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor, channel, spatial

from ..contract.target import Random
from ..errors import ParameterError
from ..states import order, trees
from ..states.checks import check_parameter

_SOURCE, _NUMBERS = "_source", "_random_numbers"
OFFSET, MIRRORED = 0, 1  # random numbers per axis
ZOOM, SWAPPED = 0, 1  # and per sample


@dataclass(frozen=True)
class RandomTransform:
    """
    A random transform of each sample, axis by axis a matrix:

        x'(i) = Σⱼ w(s i + a − j) x(j),   Σⱼ w = 1,   w(d) ∝ max(0, 1 − |d| / s)

    with a zoom s, an offset a, and i from the other end where the axis is mirrored. Beyond the sides the state goes on
    periodically on periodic axes and mirrored on others. States of vectors, whose components belong to axes, are only
    shifted.

    Args:
        shift: Whether states are shifted by whole cells, along periodic axes.
        mirror: Whether axes are reversed.
        swap: Whether two axes with the same cells and boundaries are swapped.
        scales: Sizes to which details are shrunk, each as likely as the others; 1 leaves them.

    Raises:
        ParameterError: if `scales` holds something else than numbers in (0, 1].
    """

    shift: bool = True
    mirror: bool = True
    swap: bool = True
    scales: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        if not isinstance(self.scales, Sequence) or isinstance(self.scales, str) or not self.scales:
            raise ParameterError(f"RandomTransform: scales = {self.scales!r}. Give a list of numbers, e.g. (1.0, 0.5).")
        for scale in self.scales:
            check_parameter("RandomTransform", "scales", scale, positive=True)
            if scale > 1:
                raise ParameterError(f"RandomTransform: scales = {self.scales!r}, but details are only shrunk: ≤ 1.")
        object.__setattr__(self, "scales", tuple(self.scales))

    def draws(self, shape: Shape, random: Random) -> dict[str, Tensor]:
        """
        Draws what decides the transforms of some samples.

        Args:
            shape: Their dims.
            random: Where the numbers come from.
        """
        axes = order.by_name(shape.spatial.names)
        return {
            "samples": random.uniform(shape.batch & channel(**{_NUMBERS: 2})),
            **{axis: random.uniform(shape.batch & channel(**{_NUMBERS: 2})) for axis in axes},
        }

    def apply(self, state: Any, draws: dict[str, Tensor]) -> Any:
        """
        Transforms states.

        Args:
            state: `Field`, `Tensor` or tree of them. Staggered grids stay as they are.
            draws: What `draws` drew for them.
        """
        if isinstance(state, Field):
            if not state.is_grid or not state.is_centered:
                return state
            return trees.with_values(state, self._values(state.values, draws, _Sides.of(state)))
        if isinstance(state, Tensor):
            return self._values(state, draws, _Sides())
        if isinstance(state, dict):
            return {key: self.apply(part, draws) for key, part in state.items()}
        if isinstance(state, (tuple, list)):
            return getattr(state, "_make", type(state))(self.apply(part, draws) for part in state)
        return state

    def _values(self, values: Tensor, draws: dict[str, Tensor], sides: _Sides) -> Tensor:
        is_vector = set(values.shape.spatial.names) & {
            name for dim in values.shape.channel for name in dim.item_names[0] or ()
        }
        per_sample = draws["samples"]
        zoom = self._zoom(per_sample[{_NUMBERS: ZOOM}])
        result = values
        for axis in order.by_name(values.shape.spatial.names):
            numbers, cells = draws[axis], values.shape.get_size(axis)
            periodic = axis in sides.periodic
            mirrored = self.mirror and not is_vector and axis not in sides.uneven
            position = self._positions(numbers, cells, zoom, axis, periodic, mirrored)
            result = _resampled(result, axis, position, zoom, periodic)
        if self.swap and not is_vector and (pair := sides.alike):
            swapped = _swapped(result, *pair)
            result = order.where(per_sample[{_NUMBERS: SWAPPED}] < 0.5, swapped, result)
        return order.in_order_of(result, values.shape)

    def _zoom(self, numbers: Tensor) -> Tensor:
        """Returns s per sample, 1 / scale."""
        zoom = math.zeros_like(numbers) + 1 / self.scales[0]
        for place, scale in enumerate(self.scales[1:], 1):
            zoom = order.where(numbers >= place / len(self.scales), 1 / scale, zoom)
        return zoom

    def _positions(
        self, numbers: Tensor, cells: int, zoom: Tensor, axis: str, periodic: bool, mirrored: bool
    ) -> Tensor:
        """Returns where in the state each cell of the result lies, in cells."""
        place = _cells(axis, cells, numbers)
        if mirrored:
            place = order.where(numbers[{_NUMBERS: MIRRORED}] < 0.5, cells - 1 - place, place)
        span = cells if periodic else 2 * cells
        moves = (zoom > 1) if not (periodic and self.shift) else (zoom > 0)
        offset = math.floor(numbers[{_NUMBERS: OFFSET}] * span) * math.cast(moves, numbers.dtype)
        return zoom * place + (zoom - 1) / 2 + offset


@dataclass(frozen=True)
class _Sides:
    """The axes that are periodic, those whose two sides differ, and two axes that are alike, if there are."""

    periodic: tuple[str, ...] = ()
    uneven: tuple[str, ...] = ()
    alike: tuple[str, str] | None = None

    @staticmethod
    def of(field: Field) -> _Sides:
        axes = {axis: _sides_of(field, axis) for axis in field.resolution.names}
        periodic = tuple(a for a, sides in axes.items() if all(s == math.extrapolation.PERIODIC for s in sides))
        uneven = tuple(axis for axis, (lower, upper) in axes.items() if lower != upper)
        names = order.by_name(field.resolution.names)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if _are_alike(field, a, b)]
        return _Sides(periodic, uneven, pairs[0] if pairs else None)


def _sides_of(field: Field, axis: str) -> tuple[Any, Any]:
    """Returns what holds at the lower and the upper side."""
    by_name = getattr(field.boundary, "ext", {})
    whole = by_name.get(axis, field.boundary)
    return by_name.get(f"{axis}-", whole), by_name.get(f"{axis}+", whole)


def _are_alike(field: Field, a: str, b: str) -> bool:
    same_cells = field.resolution.get_size(a) == field.resolution.get_size(b)
    same_size = abs(float(field.dx.vector[a]) / float(field.dx.vector[b]) - 1) < 1e-6
    return same_cells and same_size and _sides_of(field, a) == _sides_of(field, b)


def _swapped(values: Tensor, a: str, b: str) -> Tensor:
    """Returns the values with two axes swapped."""
    renamed = math.rename_dims(values, [a, b], [spatial("_a"), spatial("_b")])
    return math.rename_dims(renamed, ["_a", "_b"], [spatial(b), spatial(a)])


def _cells(axis: str, count: int, like: Tensor) -> Tensor:
    """Returns 0, 1, … along an axis, in the precision of `like`."""
    return math.wrap(np.arange(count, dtype=f"float{like.dtype.precision}"), spatial(axis))


def _resampled(values: Tensor, axis: str, position: Tensor, zoom: Tensor, periodic: bool) -> Tensor:
    """Returns Σⱼ w(position − j) values(j) along an axis."""
    cells = values.shape.get_size(axis)
    source = _cells(_SOURCE, cells, position)
    span = float(cells if periodic else 2 * cells)

    def weights(shift: Tensor) -> Tensor:
        distance = shift - span * math.round(shift / span)
        return math.maximum(0, 1 - math.abs(distance) / zoom)

    matrix = weights(position - source)
    if not periodic:
        matrix = matrix + weights(position - (span - 1 - source))
    matrix = matrix / math.sum(matrix, _SOURCE)
    moved = math.rename_dims(values, axis, spatial(_SOURCE))
    return math.dot(matrix, [_SOURCE], moved, [_SOURCE])
