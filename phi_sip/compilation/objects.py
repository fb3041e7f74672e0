"""What an object holds, as far as Python knows."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Hashable
from functools import cached_property, lru_cache
from types import FunctionType
from typing import Any

import numpy as np
from phiml.math import Shape, Tensor

SCALARS = (bool, int, float, str, bytes, type(None))
_SHORT = 64
# What PhiML's compiled, differentiated and linear functions keep of the calls before.
_MADE_BY_PHIML = {
    *("traces", "tracers", "recorded_mappings", "req_buffer_history", "matrices_and_biases", "nl_jit", "grad_jit"),
    *("_extract_tensors", "_post_call", "_tracing_in_key", "_buffer_manager"),
}
_POINTER = struct.calcsize("P")


class NoKeyError(TypeError):
    """Raised for an object whose state cannot be told, so that nothing compiled may depend on it."""


def shape_key(shape: Shape) -> Hashable:
    sizes = tuple(array_key(size.numpy(size.shape)) if isinstance(size, Tensor) else size for size in shape.sizes)
    return shape.names, sizes, tuple(str(dim.dim_type) for dim in shape), repr(shape.item_names)


def array_key(array: np.ndarray) -> Hashable:
    """Returns type, shape and contents; long contents by their BLAKE2 digest."""
    if array.dtype.hasobject:
        raise NoKeyError(f"an array of Python objects of the shape {array.shape}")
    contents = np.ascontiguousarray(array).tobytes()
    kind = repr(array.dtype) if array.dtype.names else array.dtype.str
    return kind, array.shape, contents if len(contents) <= _SHORT else hashlib.blake2b(contents).digest()


def numpy_of(item: Any) -> np.ndarray:
    """Returns the values of a native tensor."""
    try:
        return np.asarray(item)
    except Exception as error:
        raise NoKeyError(f"a {type(item).__name__} whose value is not known yet") from error


def cells_of(function: FunctionType) -> tuple[Any, ...]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that is not bound yet
            found.append(NotImplemented)
    return tuple(found)


def functions_in(attribute: Any) -> Any:
    """Returns the function or functions in what a class may hold in place of one."""
    if isinstance(attribute, (staticmethod, classmethod)):
        return attribute.__func__
    if isinstance(attribute, property):
        return attribute.fget, attribute.fset, attribute.fdel
    if isinstance(attribute, cached_property):
        return attribute.func
    return attribute


@lru_cache(maxsize=4096)
def _class_names(cls: type) -> frozenset[str]:
    return frozenset(dir(cls))


def is_setting(item: Any, name: str, value: Any, is_of_user: bool) -> bool:
    """
    Returns whether an attribute of a Keras object is read when it is traced: public data, not what wraps a method, and
    private data where the class is the user's.
    """
    if name == "_learning_rate":
        return True
    if is_of_user and name.startswith("_"):
        return name not in _names_of_keras() and not name.startswith("_phi_sip")
    if name.startswith("_"):
        return isinstance(value, (set, list, tuple)) and bool(value) and all(isinstance(v, SCALARS) for v in value)
    return name not in _class_names(type(item))  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _names_of_keras() -> frozenset[str]:
    """Returns the attributes that every layer, model and optimizer of Keras has."""
    import keras

    examples = keras.layers.Layer(), keras.Model(), keras.optimizers.SGD()
    return frozenset(name for example in examples for name in vars(example))


def attributes_of(item: Any) -> dict[str, Any]:
    """Returns all attributes of an object but the values of cached properties."""
    slots, derived = _names_of(type(item))  # type: ignore[arg-type]
    found = {name: getattr(item, name) for name in slots if hasattr(item, name)}
    attributes = getattr(item, "__dict__", {})
    forgotten = derived | _MADE_BY_PHIML if type(item).__module__.startswith("phiml.") else derived
    return found | {name: value for name, value in attributes.items() if name not in forgotten}


@lru_cache(maxsize=4096)
def _names_of(cls: type) -> tuple[tuple[str, ...], frozenset[str]]:
    """Returns the slots of a class, and its cached properties."""
    bases = [vars(base) for base in cls.__mro__]
    derived = (name for base in bases for name, value in base.items() if isinstance(value, cached_property))
    return tuple(name for base in cls.__mro__ for name in _slots(base)), frozenset(derived)


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    names = [
        name for name in ((slots,) if isinstance(slots, str) else slots) if name not in ("__dict__", "__weakref__")
    ]
    private = f"_{cls.__name__.lstrip('_')}"  # to which Python adds private names
    return tuple(private + name if name.startswith("__") and not name.endswith("__") else name for name in names)


@lru_cache(maxsize=4096)
def holds_attributes_only(cls: type) -> bool:
    """Tells whether objects of a class have no state in C: they take no more memory than their attributes."""
    slots = sum(len(_slots(base)) for base in cls.__mro__)
    pointers = slots + (cls.__dictoffset__ > 0) + (cls.__weakrefoffset__ > 0)
    return cls.__itemsize__ == 0 and cls.__basicsize__ <= object.__basicsize__ + _POINTER * pointers


def is_reducible(item: Any) -> bool:
    """Returns whether `copy` and `pickle` can take an object apart."""
    try:
        item.__reduce_ex__(4)
    except Exception:
        return False
    return True


def reduced(item: Any) -> Any:
    """Returns what `copy` and `pickle` take an object for."""
    try:
        found = item.__reduce_ex__(4)
    except Exception as error:
        raise NoKeyError(f"a {type(item).__module__}.{type(item).__qualname__}") from error
    if isinstance(found, str):
        return found
    made, arguments, *rest = found
    state = rest[0] if rest else None
    listed = [tuple(part) if part is not None else None for part in rest[1:3]]
    return made, arguments, state, listed
