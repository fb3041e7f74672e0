"""Checks of arguments. Each raises an error that says what happened, why, and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor

from ..errors import GridMismatchError, NonFiniteError, ParameterError, UnsupportedError
from . import trees


def check_parameter(
    owner: str,
    name: str,
    value: Any,
    *,
    positive: bool = False,
    signed: bool = False,
    per_axis: bool = False,
    per_cell: bool = False,
    per_value: bool = False,
    other_dims: int = 0,
) -> None:
    """
    Checks a physical parameter: a finite number ≥ 0, or a `Tensor` of such with batch dims only.

    Args:
        owner: Who asks, for the message.
        name: Name of the parameter.
        value: What was given.
        positive: Whether 0 is excluded.
        signed: Whether negative numbers are allowed.
        per_axis: Whether a channel dim `vector` that names the axes is allowed too.
        per_cell: Whether spatial dims are allowed too.
        per_value: Whether all dims are allowed that observations may have.
        other_dims: How many channel dims of other names are allowed.

    Raises:
        ParameterError: if the value is of another type, has other dims, is NaN, infinite or negative.
    """
    if isinstance(value, bool) or not isinstance(value, (Real, Tensor)):
        raise ParameterError(
            f"{owner}: {name} is a {type(value).__name__}. Give a number, or a phiml tensor with batch dims."
        )
    tensor = value if isinstance(value, Tensor) else math.wrap(float(value))
    dims = tensor.shape.non_batch.non_spatial if per_cell else tensor.shape.non_batch
    if per_axis and "vector" in dims.channel:
        _check_names_axes(owner, name, dims)
    elif not per_value and (dims.rank > other_dims or dims.spatial or "vector" in dims):
        raise ParameterError(
            f"{owner}: {name} has the dims {dims}, but may vary between {'cells and ' * per_cell}batch entries only. "
            f"Make them batch dims, e.g. math.tensor([...], batch('batch'))."
        )
    if not tensor.available:
        return
    with math.precision(64):
        finite = bool(math.is_finite(tensor).all)
    if not finite:
        raise ParameterError(f"{owner}: {name} = {value} is not finite. Check how it was computed.")
    if (not signed and bool((tensor < 0).any)) or (positive and bool((tensor == 0).any)):
        raise ParameterError(f"{owner}: {name} = {value}, but it must be {'> 0' if positive else '≥ 0'}.")


def check_clip_norm(owner: str, norm: float | None) -> None:
    """Raises `ParameterError` if the norm to which gradients are clipped is not `None` and no positive number."""
    if norm is None:
        return
    if isinstance(norm, Tensor):
        raise ParameterError(f"{owner}: clip_norm is a Tensor. Give one number, as the weights have one gradient.")
    check_parameter(owner, "clip_norm", norm, positive=True)


def _check_names_axes(owner: str, name: str, dims: Shape) -> None:
    if dims.names != ("vector",) or not dims.get_item_names("vector"):
        raise ParameterError(
            f"{owner}: {name} has the dims {dims}, but besides batch dims it may have only the "
            f"channel dim 'vector' that names the axes, e.g. math.vec(x=1.0, y=0.25)."
        )


def check_axes(owner: str, name: str, value: Any, axes: Sequence[str]) -> None:
    """Raises `ParameterError` if a parameter per axis names other axes than the grid has."""
    if isinstance(value, Tensor) and "vector" in value.shape and set(value.vector.item_names) != set(axes):
        raise ParameterError(
            f"{owner}: {name} is given for the axes {', '.join(value.vector.item_names)}, but the grid has the axes "
            f"{', '.join(axes)}. Give one value per axis of the grid, or one number for all."
        )


def check_same_cells(owner: str, name: str, value: Any, x: Field) -> None:
    """
    Checks that a parameter with values per cell, along some axes or all of them, is on the grid of a state.

    Args:
        owner: Who asks, for the message.
        name: Name of the parameter.
        value: A number, a `Tensor`, or a `Field` on a grid.
        x: The state.

    Raises:
        GridMismatchError: if it has other cells, or other bounds.
    """
    shape = value.resolution if isinstance(value, Field) else math.wrap(value).shape.spatial
    for axis in shape.names:
        if axis not in x.resolution or shape.get_size(axis) != x.resolution.get_size(axis):
            raise GridMismatchError(
                f"{owner}: {name} has the cells {shape}, x has {x.resolution}. Give one value per cell of x, e.g. by "
                f"sampling a Field there: {name} @ x."
            )
    for axis in shape.names if isinstance(value, Field) else ():
        own, wanted = ([float(end.vector[axis]) for end in (f.bounds.lower, f.bounds.upper)] for f in (value, x))
        if max(abs(a - b) for a, b in zip(own, wanted, strict=True)) > 1e-6 * (wanted[1] - wanted[0]):
            raise GridMismatchError(
                f"{owner}: along {axis}, {name} is from {own[0]:g} to {own[1]:g}, x from {wanted[0]:g} to "
                f"{wanted[1]:g}. Give both the same bounds."
            )


def check_finite(what: str, tree: Any, remedy: str) -> None:
    """Raises `NonFiniteError` if a leaf of `tree` holds NaN or infinity, naming `what` and how many cells are bad."""
    if not trees.all_finite(tree):
        raise non_finite(what, tree, remedy)


def non_finite(what: str, tree: Any, remedy: str) -> NonFiniteError:
    """Returns the error for NaN or infinity in `tree`, with how many values are bad."""
    bad = sum(
        int(math.sum(math.cast(~math.is_finite(leaf), math.DType(int, 64)), leaf.shape)) for leaf in trees.leaves(tree)
    )
    total = sum(leaf.shape.volume for leaf in trees.leaves(tree))
    return NonFiniteError(f"{what} holds NaN or infinity in {bad} of {total} values. {remedy}")


def check_like(name: str, correction: Any, x: Any) -> None:
    """Raises `GridMismatchError` if a correction has another structure or other dims than the state it corrects."""
    for a, b in zip(trees.leaves(correction, like=x), trees.leaves(x), strict=True):
        if a.dtype.kind is complex:
            raise UnsupportedError(
                f"{name} is complex, but x is real. Return its real part, or components of a channel dim."
            )
        if set(a.shape.names) != set(b.shape.names) or any(
            _differ(a.shape.get_size(n), b.shape.get_size(n)) for n in a.shape.names
        ):
            raise GridMismatchError(
                f"{name} has the dims {a.shape}, but x has {b.shape}. Return a correction like x; where a parameter or "
                f"step_size has a batch dim, the data need it too."
            )
        for dim in a.shape.names:
            _check_same_components(f"{name} has the dims {a.shape}, x has {b.shape}", a.shape, b.shape, dim)


def check_same_batch(first_name: str, first: Tensor, second_name: str, second: Any) -> None:
    """Raises `GridMismatchError` if a batch dim of a tensor has another size in a state."""
    for leaf in trees.leaves(second):
        for name in first.shape.only(leaf.shape).names:
            if _differ(first.shape.get_size(name), leaf.shape.get_size(name)):
                raise GridMismatchError(
                    f"{first_name} has the dims {first.shape}, {second_name} is {trees.describe(second)}: batch dim "
                    f"'{name}' has two sizes. Use the same batch for both."
                )


def _check_same_components(what: str, first: Shape, second: Shape, dim: str) -> None:
    components, others = first.get_item_names(dim), second.get_item_names(dim)
    if components and others and set(components) != set(others):
        raise GridMismatchError(
            f"{what}: the components along '{dim}' are called {', '.join(components)} in one and {', '.join(others)} "
            f"in the other. Give them the same names, in any order."
        )


def check_same_grid(first_name: str, first: Any, second_name: str, second: Any) -> None:
    """
    Checks that two states can be subtracted: one structure, equal non-batch dims, batch dims that broadcast,
    and for Fields the same geometry and boundary.

    Raises:
        GridMismatchError: naming what differs.
    """
    for a, b in zip(_nodes(first), _nodes(second), strict=False):
        _check_same_node(first_name, a, second_name, b)
    if len(_nodes(first)) != len(_nodes(second)):
        raise GridMismatchError(
            f"{first_name} is {trees.describe(first)}, but {second_name} is {trees.describe(second)}. "
            f"Both must have one structure."
        )


def _nodes(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [node for key in sorted(tree, key=str) for node in _nodes(tree[key])]
    if isinstance(tree, (tuple, list)):
        return [node for item in tree for node in _nodes(item)]
    return [tree] if isinstance(tree, (Field, Tensor)) else trees.leaves(tree)


def _check_same_node(first_name: str, a: Any, second_name: str, b: Any) -> None:
    what = f"{first_name} is {trees.describe(a)}, {second_name} is {trees.describe(b)}"
    shape_a, shape_b = (node.values.shape if isinstance(node, Field) else node.shape for node in (a, b))
    if isinstance(a, Field) != isinstance(b, Field):
        raise GridMismatchError(f"{what}. Give both as Fields, or both as Tensors.")
    if set(shape_a.non_batch.names) != set(shape_b.non_batch.names) or any(
        _differ(shape_a.get_size(n), shape_b.get_size(n)) for n in shape_a.non_batch.names
    ):
        raise GridMismatchError(f"{what}: their dims differ. Resample one onto the other, or name the dims alike.")
    for name in shape_a.only(shape_b).names:
        _check_same_components(what, shape_a, shape_b, name)
    for name in set(shape_a.batch.names) & set(shape_b.batch.names):
        if shape_a.get_size(name) != shape_b.get_size(name):
            raise GridMismatchError(f"{what}: batch dim '{name}' has two sizes. Use the same batch for both.")
    if isinstance(a, Field):
        _check_same_geometry(first_name, a, second_name, b)


def _differ(size: Any, other: Any) -> bool:
    """Tells whether two sizes do; those along an axis of a staggered grid may depend on the component."""
    differ = size != other
    return bool(differ.any) if isinstance(differ, Tensor) else differ


def _check_same_geometry(first_name: str, a: Field, second_name: str, b: Field) -> None:
    if a.boundary != b.boundary:
        raise GridMismatchError(
            f"{first_name} has boundary {a.boundary}, {second_name} has {b.boundary}. "
            f"Set one boundary for both, e.g. with `with_boundary`."
        )
    if a.geometry is b.geometry or a.geometry == b.geometry:
        return
    axes_a, axes_b = a.geometry.vector.item_names, b.geometry.vector.item_names
    if axes_a != axes_b:
        raise GridMismatchError(
            f"{first_name} has axes {','.join(axes_a)}, {second_name} has {','.join(axes_b)}. PhiFlow does not combine "
            f"them: build both grids with one order of axes."
        )
    if a.is_grid and b.is_grid:
        difference = math.max(abs(a.bounds.lower - b.bounds.lower) + abs(a.bounds.upper - b.bounds.upper))
        if bool((difference <= 1e-6 * math.max(a.bounds.size)).all):
            return
    raise GridMismatchError(
        f"{first_name} lives on {a.bounds}, {second_name} on {b.bounds}. Give both the same `bounds`, or resample one."
    )


def check_count(owner: str, name: str, value: Any) -> None:
    """Raises `ParameterError` unless `value` is an integer ≥ 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ParameterError(f"{owner}: {name} = {value!r}, but it must be an integer ≥ 1.")
