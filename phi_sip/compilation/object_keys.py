"""Keys of objects: dataclasses, layers and optimizers of Keras, and all others."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from typing import Any

from .code import class_is_library
from .data_keys import of_array
from .identity import identities
from .inputs import constants_of, numbers_of
from .objects import (
    SCALARS,
    NoKeyError,
    attributes_of,
    holds_attributes_only,
    is_reducible,
    is_setting,
    numpy_of,
    reduced,
)
from .visitor import Visitor


def of_keras(visitor: Visitor, item: Any) -> Hashable:
    """
    Returns the key of what has variables, which compiled code reads when it runs: the object itself, with the settings
    that are read once. These are public attributes, and private ones that hold plain data.
    """
    if hasattr(item, "__array__"):
        return ("itself", identities.number(item)) if hasattr(item, "assign") else of_array(visitor, numpy_of(item))
    parts: list[Hashable] = [identities.number(item), visitor.by_value(type(item))]
    is_of_user = not class_is_library(type(item))
    for name, value in getattr(item, "__dict__", {}).items():
        if isinstance(value, SCALARS):
            parts.append((name, type(value), value))
        elif is_setting(item, name, value, is_of_user):
            parts.append((name, visitor.by_value(value)))
    layers = item._flatten_layers(include_self=False) if hasattr(item, "_flatten_layers") else ()
    return *parts, *(visitor.by_value(layer) for layer in layers)


def of_object(visitor: Visitor, item: Any) -> Hashable:
    """Returns the key of an object of a class that is none of the known kinds: its class, and what it holds."""
    if holds_attributes_only(type(item)):  # type: ignore[arg-type]
        return visitor.by_value(type(item)), visitor.by_value(attributes_of(item))
    if callable(item) and class_is_library(type(item)) and not is_reducible(item):
        return type(item), item  # a function of a library in C
    return visitor.by_value(type(item)), visitor.by_value(reduced(item))


def of_dataclass(visitor: Visitor, item: Any) -> Hashable:
    names = {field.name for field in fields(item)}
    constants, numbers = constants_of(item), numbers_of(item)
    parts: list[Hashable] = [visitor.by_value(type(item))]
    for name in (field.name for field in fields(item)):
        value = getattr(item, name, None)
        if not visitor.values_are_inputs or (name in constants and visitor.constants_count):
            parts.append(visitor.by_value(value))
        else:
            parts.append(float if name in numbers else visitor.of(value))
    others = {name: value for name, value in attributes_of(item).items() if name not in names}
    return *parts, *((name, visitor.by_value(value)) for name, value in others.items())


def of_random_generator(_: Visitor, item: Any) -> Hashable:
    raise NoKeyError(f"the random number generator {type(item).__name__}")
