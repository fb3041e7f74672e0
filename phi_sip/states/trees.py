"""Leaf-wise operations on states: a `Field`, a `Tensor`, or tuples, lists, dicts and dataclasses of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from phi.field import Field
from phiml import math
from phiml.backend import Backend
from phiml.math import Shape, Tensor

from ..errors import GridMismatchError, UnsupportedError
from . import order


def tree_map(function: Callable[..., Tensor], tree: Any, *others: Any) -> Any:
    """
    Applies `function` to corresponding tensors of states with the same structure.

    Components that have names correspond by name: those of the other states are put in the order of `tree`.

    Args:
        function: Takes one `Tensor` of each state and returns a `Tensor`.
        tree: State whose structure, geometry and boundary the result takes.
        *others: States of the same structure.

    Raises:
        GridMismatchError: if the structures differ.
        UnsupportedError: if `tree` holds something that is neither a state nor a container of states.
    """
    if isinstance(tree, Tensor):
        return function(tree, *(order.matched(_as_tensor(other), tree.shape) for other in others))
    if isinstance(tree, Field):
        values = tree_map(function, tree.values, *others)
        return tree if values is tree.values else tree.with_values(values)
    if isinstance(tree, (int, float)):
        return function(math.wrap(tree), *(_as_tensor(other) for other in others))
    if isinstance(tree, (tuple, list, dict)):
        return _map_container(function, tree, others)
    attributes = value_attributes(tree)
    return math.copy_with(
        tree, **{a: tree_map(function, getattr(tree, a), *(getattr(other, a) for other in others)) for a in attributes}
    )


def _map_container(function: Callable[..., Tensor], tree: Any, others: Sequence[Any]) -> Any:
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    for other in others:
        if (
            type(other) is not type(tree)
            or len(other) != len(tree)
            or (isinstance(tree, dict) and set(other) != set(keys))
        ):
            raise GridMismatchError(
                f"Two states have different structures: {describe(tree)} and {describe(other)}. "
                f"Return from `forward` and `predict` the structure that went in."
            )
    items = {key: tree_map(function, tree[key], *(other[key] for other in others)) for key in keys}
    if isinstance(tree, dict):
        return items
    make = getattr(tree, "_make", type(tree))  # named tuples
    return make(items[key] for key in keys)


def _as_tensor(value: Any) -> Tensor:
    if isinstance(value, Field):
        return value.values
    if isinstance(value, (Tensor, int, float)):
        return math.wrap(value)
    raise GridMismatchError(
        f"Expected a Field or Tensor but found {describe(value)}. States that are combined must have one structure."
    )


def value_attributes(node: Any) -> Sequence[str]:
    """
    Returns the names of the attributes of a state that is no container, which hold its values.

    Raises:
        UnsupportedError: if it is no state.
    """
    for name in ("__value_attrs__", "__all_attrs__", "__variable_attrs__"):
        if hasattr(node, name):
            return tuple(getattr(node, name)())
    if isinstance(getattr(node, "value_attrs", None), tuple):
        return tuple(node.value_attrs)
    raise UnsupportedError(
        f"{type(node).__name__} is not a state. Use Fields, phiml Tensors, tuples, lists or dicts of them, "
        f"or a phiml tree node with `__value_attrs__`."
    )


def leaves(tree: Any, like: Any = None) -> list[Tensor]:
    """
    Returns all tensors of a state, in the order of the state `like` of the same structure; default `tree` itself.

    One whose sizes vary, as of a staggered grid between walls, is several: one for each component.
    """
    found: list[Tensor] = []

    def keep(template: Tensor, tensor: Tensor) -> Tensor:
        found.extend(_uniform(tensor, template))
        return template

    tree_map(keep, tree if like is None else like, tree)
    return found


def with_leaves(tree: Any, tensors: Sequence[Tensor]) -> Any:
    """Returns the state `tree` with its tensors replaced, in the order of `leaves`."""
    remaining = iter(tensors)
    return tree_map(lambda template: _joined(remaining, template), tree)


def _uniform(tensor: Tensor, template: Tensor) -> Iterator[Tensor]:
    """Parts of `tensor` in which each dim has one size in the template."""
    stacked = _stacked(template.shape)
    if not stacked:
        yield tensor
    else:
        for index in stacked.meshgrid():
            yield from _uniform(tensor[index], template[index])


def _joined(parts: Iterator[Tensor], template: Tensor) -> Tensor:
    """Returns the inverse of `_uniform`."""
    stacked = _stacked(template.shape)
    if not stacked:
        return next(parts)
    return math.stack([_joined(parts, template[index]) for index in stacked.meshgrid()], stacked)


def _stacked(shape: Shape) -> Shape:
    """Returns the dim along which the sizes of others vary, if they do."""
    return math.merge_shapes(*(size.shape for size in shape.sizes if isinstance(size, Tensor)))


def in_canonical_order(tree: Any) -> Any:
    """Returns the state with its leaves stored in the canonical order of dims, see `order.canonical`."""
    return with_leaves(tree, [order.reordered(leaf, order.canonical(leaf.shape)) for leaf in leaves(tree)])


def in_order_of(tree: Any, like: Any) -> Any:
    """
    Returns the state with its dims and named components stored in the order of those of `like`, of the same structure.
    """
    pairs = zip(leaves(tree, like), leaves(like), strict=True)
    tensors = iter([order.in_order_of(leaf, template.shape) for leaf, template in pairs])
    return tree_map(lambda template, values: _joined(tensors, template), like, tree)


def with_values(field: Field, values: Tensor) -> Field:
    """Returns the field with other values, stored in the order of its dims and named components."""
    return field.with_values(order.in_order_of(values, field.values.shape))


def subtract(a: Any, b: Any) -> Any:
    """Returns a − b, with the geometry and in the precision of `a`."""
    with math.precision(precision_of(a)):
        return tree_map(lambda u, v: u - v, a, b)


def add(a: Any, b: Any) -> Any:
    """Returns a + b, with the geometry and in the precision of `a`."""
    with math.precision(precision_of(a)):
        return tree_map(lambda u, v: u + v, a, b)


def multiply(a: Any, b: Any) -> Any:
    """Returns the product a · b per cell and component, with the geometry and in the precision of `a`."""
    with math.precision(precision_of(a)):
        return tree_map(lambda u, v: u * v, a, b)


def scale(a: Any, factor: Any) -> Any:
    """
    Returns a · factor, with `factor` a number or a `Tensor` that broadcasts against every leaf, in the precision of
    `a`.
    """
    with math.precision(precision_of(a)):
        return tree_map(lambda u: u * factor, a)


def l2_loss(tree: Any) -> Tensor:
    """½ Σ u² over all cells and components of all leaves; batch dims are kept, as in PhiFlow's `l2_loss`."""
    with math.precision(precision_of(tree)):
        return sum((math.l2_loss(leaf, leaf.shape.non_batch) for leaf in leaves(tree)), math.wrap(0.0))


def all_finite(tree: Any) -> bool:
    """Tells whether no leaf holds NaN or infinity, as far as is known: values that are being traced count as finite."""
    return all(bool(math.is_finite(leaf).all) for leaf in leaves(tree) if leaf.available)


def stop_gradient(tree: Any) -> Any:
    """Returns the state without derivative information."""
    return tree_map(math.stop_gradient, tree)


def cast(tree: Any, precision: int) -> Any:
    """
    Converts all leaves to floating point numbers of `precision` bits.

    Raises:
        UnsupportedError: if one is complex, as its imaginary part would be lost.
    """
    dtype = math.DType(float, precision)

    def convert(leaf: Tensor) -> Tensor:
        if leaf.dtype.kind is complex:
            raise UnsupportedError(
                f"{describe(tree)} holds complex numbers. States and observations are real: give real and imaginary "
                f"parts as components of a channel dim."
            )
        return leaf if leaf.dtype == dtype else math.cast(leaf, dtype)

    return tree_map(convert, tree)


def precision_of(tree: Any) -> int:
    """
    Returns the highest floating point precision among the leaves in bits; PhiFlow's current precision if all are
    integer.
    """
    found = [leaf.dtype.precision for leaf in leaves(tree) if leaf.dtype.kind is float]
    return int(max(found, default=math.get_precision()))


def to_backend(tree: Any, backend: Backend) -> Any:
    """Converts leaves of other frameworks, without rounding them to the current precision, as PhiML does."""

    def convert(leaf: Tensor) -> Tensor:
        with math.precision(precision_of(leaf)):
            return math.convert(leaf, backend)

    return tree_map(lambda u: u if u.default_backend is backend else convert(u), tree)


def natives(tree: Any, like: Any = None) -> list[Any]:
    """
    Returns the native tensors of all leaves.

    Args:
        tree: State.
        like: State of the same structure; the dim order and size of its leaves are used. Default `tree`.
    """
    templates = leaves(tree if like is None else like)
    return [native(leaf, template.shape) for leaf, template in zip(leaves(tree, like), templates, strict=True)]


native = order.native


def with_natives(tree: Any, values: Sequence[Any]) -> Any:
    """
    Returns the inverse of `natives`: a state like `tree` with other native tensors in the dim order of its leaves.
    """
    shapes: list[Shape] = [leaf.shape for leaf in leaves(tree)]
    tensors = [math.reshaped_tensor(v, [*s], convert=False) for v, s in zip(values, shapes, strict=True)]
    return with_leaves(tree, tensors)


def describe(tree: Any) -> str:
    """A short description of a state for messages, e.g. `Field (batch=8, x=64, y=64)`."""
    if isinstance(tree, (Tensor, Field)):
        values = tree.values if isinstance(tree, Field) else tree
        return f"{type(tree).__name__} {' and '.join(str(part.shape) for part in leaves(values))}"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {describe(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        return "(" + ", ".join(describe(value) for value in tree) + ")"
    return type(tree).__name__
