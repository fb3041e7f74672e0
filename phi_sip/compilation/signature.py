"""What tells two computations apart: everything but the values of the tensors that go in."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from phi.field import Field
from phiml.math import Shape, Tensor

from .. import trees
from .inputs import constants_of, numbers_of


class Same:
    """Equal if it is about the same object, which it keeps alive."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __hash__(self) -> int:
        return id(self.item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.item is self.item


def of_state(tree: Any) -> Hashable:
    """Structure, dims, types, boundaries and grids of a state; `None` for `None`."""
    if tree is None:
        return None
    if isinstance(tree, Field):
        return (*of_tensors([tree.values]), repr(tree.boundary), _of_geometry(tree))
    if isinstance(tree, (tuple, list)):
        return (type(tree), *(of_state(item) for item in tree))
    if isinstance(tree, dict):
        return tuple((key, of_state(item)) for key, item in tree.items())
    return (type(tree), *of_tensors(trees.leaves(tree)))


def of_tensors(tensors: Sequence[Tensor]) -> tuple[Hashable, ...]:
    """Dims and type of each."""
    return tuple((repr(tensor.shape), repr(tensor.shape.item_names), repr(tensor.dtype)) for tensor in tensors)


def _of_geometry(field: Field) -> Hashable:
    corners = (field.bounds.lower, field.bounds.upper) if field.is_grid else ()
    if not corners or any(not corner.available or corner.shape.batch for corner in corners):
        return Same(field.geometry)
    return (corners[0].vector.item_names, *(tuple(corner.numpy("vector").tolist()) for corner in corners))


def of_parameters(item: Any) -> Hashable:
    """
    All that a computation by `item` depends on but the tensors of `inputs.map_inputs`: numbers, words and the tensors
    that are constants by value, dataclasses by their fields, everything else by identity.
    """
    if isinstance(item, (bool, int, float, str, type(None))):
        return (type(item), item)
    if isinstance(item, (Tensor, Field)):
        return of_state(item)
    if isinstance(item, Shape):
        return repr(item)
    if isinstance(item, np.ndarray):
        return (item.shape, item.dtype.str, item.tobytes())
    if isinstance(item, (tuple, list)):
        return (type(item), *(of_parameters(part) for part in item))
    if isinstance(item, dict):
        return tuple((key, of_parameters(part)) for key, part in item.items())
    if not is_dataclass(item) or isinstance(item, type):
        return Same(item)
    constants, numbers = constants_of(item), numbers_of(item)
    parts: list[Hashable] = [type(item)]
    for field in fields(item):
        value = getattr(item, field.name)
        if field.name in constants:
            parts.append(_by_value(value))
        elif field.name in numbers:
            parts.append(float)
        else:
            parts.append(of_parameters(value))
    return tuple(parts)


def _by_value(item: Any) -> Hashable:
    if isinstance(item, Tensor):
        return (*of_tensors([item]), item.numpy(item.shape).tobytes() if item.available else Same(item))
    return of_parameters(item)


def of_function(function: Any) -> Hashable:
    """Its code and the objects that it has closed over; equal for a lambda that is written once and made many times."""
    code = getattr(function, "__code__", None)
    if code is None:
        return Same(function)
    cells = (cell.cell_contents for cell in function.__closure__ or ())
    bound = (getattr(function, "__self__", None), *(function.__defaults__ or ()), *cells)
    return (code, *(Same(item) for item in bound))
