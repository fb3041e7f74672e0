"""
The order of dims, and of components that have names.

Arithmetic on tensors goes by name. What must have an order, as a network, a matrix or a random draw has, takes it from
here, so that nothing depends on the order in which data are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phiml import math
from phiml.backend import choose_backend
from phiml.math import Shape, Tensor


def by_name(names: Sequence[str], first: Sequence[str] = ()) -> tuple[str, ...]:
    """Names in alphabetical order; those in `first` come before them, in its order."""
    return tuple(sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name)))


def canonical(shape: Shape, axes: Sequence[str] = ()) -> tuple[str, ...]:
    """
    Returns the names of dims in their canonical order: batch, dual, instance, spatial, channel, each by name.

    Args:
        shape: The dims.
        axes: Spatial dims that come first, in this order.
    """
    kinds = (shape.batch, shape.dual, shape.instance, shape.spatial, shape.channel)
    return tuple(name for kind in kinds for name in by_name(kind.names, axes))


def reordered(tensor: Tensor, names: Sequence[str]) -> Tensor:
    """
    Returns the same tensor, stored in another order of dims.

    Args:
        tensor: Values, whose dims have one size each.
        names: All of its dims, in the new order.
    """
    if tensor.shape.names == tuple(names):
        return tensor
    order = tensor.shape.only(names, reorder=True)
    return math.reshaped_tensor(native(tensor, order), [*order], convert=False)


def matched(tensor: Tensor, like: Shape) -> Tensor:
    """
    Returns the same tensor with its components in the order of `like`, wherever both have the same names for them.
    """
    if tensor.shape.item_names == like.item_names:
        return tensor
    for name in like.names:
        components, wanted = (shape.get_item_names(name) if name in shape else None for shape in (tensor.shape, like))
        if components and wanted and components != wanted and set(components) == set(wanted):
            tensor = _taken(tensor, name, wanted)
    return tensor


def in_order_of(tensor: Tensor, like: Shape) -> Tensor:
    """
    Returns the same tensor, its dims and named components stored in the order of `like`: batch dims that `like` has not
    come first, others last.

    Args:
        tensor: Values, whose dims have one size each.
        like: Dims in the order in which they are wanted. Those that `tensor` has not do not matter.
    """
    tensor = matched(tensor, like)
    shape = tensor.shape
    if shape.names == like.names:
        return tensor
    added = shape.without(like)
    known = [name for name in like.names if name in shape]
    return reordered(tensor, (*added.batch.names, *known, *added.non_batch.names))


def components_by_name(tensor: Tensor) -> Tensor:
    """Returns the same tensor with the components of every channel dim that names them in the order of their names."""
    for dim in tensor.shape.channel:
        names = tensor.shape.get_item_names(dim.name)
        if names and names != by_name(names):
            tensor = _taken(tensor, dim.name, by_name(names))
    return tensor


def columns_of(values: Tensor) -> Shape:
    """Returns all dims but batch dims, components by name, in canonical order: those of a row of values."""
    columns = components_by_name(values).shape.non_batch
    return columns.only(canonical(columns), reorder=True)


def _taken(tensor: Tensor, dim: str, components: Sequence[str]) -> Tensor:
    """Returns the components along a dim, in this order; PhiML may round what it picks to the current precision."""
    with math.precision(tensor.dtype.precision if tensor.dtype.kind is float else math.get_precision()):
        return tensor[{dim: list(components)}]


def native(tensor: Tensor, order: Shape) -> Any:
    """Returns `tensor.native(order)` in the precision of `tensor`; PhiML may round it to the current one."""
    if tensor.dtype.kind not in (float, complex):
        return tensor.native(order)
    with math.precision(tensor.dtype.precision):
        return tensor.native(order)


def where(condition: Tensor, value_true: Tensor | float, value_false: Tensor | float) -> Tensor:
    """
    Returns `value_true` where the condition holds, else `value_false`, stored in the order of the widest of the three.

    The order in which PhiML stores what its own `where` returns varies from process to process, and any order but this
    one costs a transposition.
    """
    parts = [math.wrap(part) for part in (condition, value_true, value_false)]
    if not all(part.shape.is_uniform for part in parts):
        return math.where(*parts)
    shape, widest = math.merge_shapes(*parts), max(parts, key=lambda part: part.rank).shape
    names = (*shape.without(widest).names, *widest.names)
    flags, *values = [_aligned(part, names) for part in parts]
    backend = choose_backend(flags, *values)
    chosen = backend.where(backend.as_tensor(flags), *backend.auto_cast(*map(backend.as_tensor, values)))
    return math.reshaped_tensor(chosen, [*shape.only(names, reorder=True)], convert=False)


def _aligned(tensor: Tensor, names: Sequence[str]) -> Any:
    """Returns a native tensor with one axis per name, of size 1 where `tensor` has no such dim."""
    values = native(tensor, tensor.shape.only(names, reorder=True))
    return values[tuple(slice(None) if name in tensor.shape else None for name in names)] if tensor.shape else values


def in_canonical_order(tensor: Tensor, axes: Sequence[str] = ()) -> Tensor:
    """
    Returns the same tensor stored in canonical order, with named components in the order of their names.

    Args:
        tensor: Values with any dims.
        axes: See `canonical`.
    """
    named = components_by_name(tensor)  # first, as PhiML moves the dims that it picks from
    return reordered(named, canonical(named.shape, axes))
