"""Keys of data: tensors, arrays, fields, containers, numbers and words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from phi.field import Field
from phiml.math import Tensor

from .code import class_is_library
from .objects import NoKeyError, array_key, numpy_of, shape_key
from .visitor import Visitor

NUMBERS_AND_WORDS = (int, float, complex, str, bytes)


def of_tensor(visitor: Visitor, tensor: Tensor) -> Hashable:
    about = shape_key(tensor.shape), repr(tensor.dtype)
    if visitor.values_are_inputs:
        return about
    if not tensor.available:
        raise NoKeyError("a tensor whose value is not known yet")
    parts = tensor.shape.meshgrid() if tensor.shape.is_non_uniform else [{}]
    try:
        arrays = [part.numpy(part.shape) for part in (tensor[index] if index else tensor for index in parts)]
    except Exception as error:  # a tensor of a graph that is gone
        raise NoKeyError("a tensor whose value is not known") from error
    return about, *(of_array(visitor, array) for array in arrays)


def of_array(visitor: Visitor, array: np.ndarray) -> Hashable:
    visitor.count(array.nbytes)
    if isinstance(array, np.ma.MaskedArray):
        return np.ma.MaskedArray, array_key(array.data), array_key(np.ma.getmaskarray(array))
    return visitor.by_value(type(array)), array_key(np.asarray(array)), *of_extra_attributes(visitor, array)


def of_array_like(visitor: Visitor, item: Any) -> Hashable:
    return type(item), of_array(visitor, numpy_of(item))


def of_field(visitor: Visitor, field: Field) -> Hashable:
    return Field, visitor.of(field.values), visitor.by_value(field.boundary), of_geometry(visitor, field)


def of_geometry(visitor: Visitor, field: Field) -> Hashable:
    if field.is_grid:
        return visitor.by_value((field.is_staggered, field.resolution, field.bounds.lower, field.bounds.upper))
    return visitor.by_value(field.geometry)


def of_sequence(visitor: Visitor, items: Sequence[Any]) -> Hashable:
    return visitor.by_value(type(items)), *(visitor.of(item) for item in items), *of_extra_attributes(visitor, items)


def of_set(visitor: Visitor, items: Iterable[Any]) -> Hashable:
    return type(items), frozenset(visitor.by_value(item) for item in items)


def of_mapping(visitor: Visitor, items: Mapping[Any, Any]) -> Hashable:
    value_of = visitor.of if isinstance(items, dict) else visitor.by_value  # as `map_inputs` looks into dicts only
    pairs = ((visitor.by_value(key), value_of(value)) for key, value in items.items())
    default = items.default_factory if isinstance(items, defaultdict) else None
    return visitor.by_value(type(items)), visitor.by_value(default), *pairs, *of_extra_attributes(visitor, items)


def of_number_or_word(visitor: Visitor, item: Any) -> Hashable:
    """Returns the key of an object of a subclass of a number or string."""
    base = next(kind for kind in NUMBERS_AND_WORDS if isinstance(item, kind))
    return visitor.by_value(type(item)), visitor.of(base(item)), *of_extra_attributes(visitor, item)


def of_extra_attributes(visitor: Visitor, item: Any) -> tuple[Hashable, ...]:
    """Returns the key of the attributes of a subclass of a built-in container."""
    if not getattr(item, "__dict__", None) or class_is_library(type(item)):
        return ()
    return (visitor.by_value(vars(item)),)
