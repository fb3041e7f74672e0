"""What tells two computations apart: a key, equal only for objects with which one computes the same."""

from __future__ import annotations

import enum
import hashlib
import random
import struct
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property, lru_cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from phi.field import Field
from phiml.backend import Backend
from phiml.math import Shape, Tensor

from .code import class_is_library, is_library, variables_read
from .identity import identities
from .inputs import constants_of, numbers_of

LARGEST = 2**26  # bytes of an array that is compared at every use
_SHORT = 64
_POINTER = struct.calcsize("P")
_KERAS = ("keras.", "tensorflow.")
_PLAIN = (bool, int, str, bytes, complex, type(None), type(...), type(NotImplemented))
_SCALARS = (bool, int, float, str, bytes, type(None))
_RANDOM = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
# What Python and `dataclass` add to classes.
_GENERATED = {
    *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__abstractmethods__", "_abc_impl"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__hash__", "__slots__", "__qualname__"),
    *("__static_attributes__", "__firstlineno__", "__replace__", "__orig_bases__", "__parameters__"),
}


class NoKeyError(TypeError):
    """Raised for an object whose state cannot be told, so that nothing compiled may depend on it."""


def of_tensors(tensors: Sequence[Tensor]) -> tuple[Hashable, ...]:
    """Returns what tells tensors apart whose values are inputs: dims, their names, and type."""
    return tuple((_of_shape(tensor.shape), repr(tensor.dtype)) for tensor in tensors)


def of_state(tree: Any) -> Hashable:
    """Returns what tells states apart whose values are inputs: structure, dims, types, boundaries and grids."""
    return Key(values_are_inputs=True).of(tree)


def of_parameters(item: Any) -> Hashable:
    """Returns what tells physics or solvers apart whose tensors of `inputs.map_inputs` are inputs."""
    return Key(values_are_inputs=True).of(item)


def of_value(item: Any, opaque: Iterable[Any] = ()) -> Hashable:
    """
    Returns what tells objects apart that become part of what is compiled: everything in them, by value.

    Args:
        item: Anything.
        opaque: Objects that stand for themselves, whatever state they have: network and optimizer.
    """
    return Key(values_are_inputs=False, opaque=opaque).of(item)


class Key:
    """
    Goes through an object and all that it holds.

    Numbers, words, arrays and tensors count by value. Functions count by their code, defaults, closures and, in the
    user's own code, the global variables that they read. Objects count by their class and attributes, those of the
    user's own classes by the attributes and methods of the class too. What a library brings, and objects that are
    `opaque`, count as themselves.

    Args:
        values_are_inputs: Whether tensors and numbers that `inputs.map_inputs` replaces count by dims and type only.
        opaque: See `of_value`.

    Raises:
        NoKeyError: from `of`, naming an object whose state cannot be told: a generator, a random number generator, an
            open file, a tensor that is being traced, or an array of more than `LARGEST` bytes.
    """

    def __init__(self, values_are_inputs: bool, opaque: Iterable[Any] = ()) -> None:
        self._values_are_inputs = values_are_inputs
        self._opaque = {id(item): item for item in opaque}
        self._seen: dict[int, tuple[int, Any]] = {}  # keeps objects alive, so that no two have one id

    def of(self, item: Any) -> Hashable:
        """Returns the key of `item`."""
        if isinstance(item, _PLAIN):
            return type(item), item
        if isinstance(item, float):
            return type(item), item.hex()
        if id(item) in self._opaque:
            return "itself", identities.number(item)
        if id(item) in self._seen:
            return "again", self._seen[id(item)][0]
        self._seen[id(item)] = len(self._seen), item
        return _describer(type(item))(self, item)  # type: ignore[arg-type]  # mypy takes classes for unhashable

    def by_value(self, item: Any) -> Hashable:
        """Returns the key of something whose tensors become part of what is compiled."""
        before, self._values_are_inputs = self._values_are_inputs, False
        try:
            return self.of(item)
        finally:
            self._values_are_inputs = before

    def _of_tensor(self, tensor: Tensor) -> Hashable:
        (about,) = of_tensors([tensor])
        if self._values_are_inputs:
            return about
        if not tensor.available:
            raise NoKeyError("a tensor whose value is not known yet")
        parts = tensor.shape.meshgrid() if tensor.shape.is_non_uniform else [{}]
        arrays = [tensor[index] if index else tensor for index in parts]
        return about, *(_of_array(part.numpy(part.shape)) for part in arrays)

    def _of_field(self, field: Field) -> Hashable:
        return Field, self.of(field.values), self.by_value(field.boundary), self._of_geometry(field)

    def _of_geometry(self, field: Field) -> Hashable:
        if field.is_grid:
            return self.by_value((field.is_staggered, field.resolution, field.bounds.lower, field.bounds.upper))
        return self.by_value(field.geometry)

    def _of_sequence(self, items: Sequence[Any]) -> Hashable:
        return type(items), *(self.of(item) for item in items), *self._of_extra_attributes(items)

    def _of_set(self, items: Iterable[Any]) -> Hashable:
        return type(items), frozenset(self.of(item) for item in items)

    def _of_mapping(self, items: Mapping[Any, Any]) -> Hashable:
        pairs = ((self.of(key), self.of(value)) for key, value in items.items())
        return type(items), *pairs, *self._of_extra_attributes(items)

    def _of_extra_attributes(self, item: Any) -> tuple[Hashable, ...]:
        """Attributes of a subclass of a built-in container."""
        if not getattr(item, "__dict__", None) or class_is_library(type(item)):
            return ()
        return (self.by_value(vars(item)),)

    def _of_function(self, function: FunctionType) -> Hashable:
        code = function.__code__
        if function.__closure__ is None and is_library(function.__module__, code.co_filename):
            return function
        bound = (function.__defaults__, function.__kwdefaults__, function.__dict__, _cells(function))
        parts = [self.by_value(part) for part in bound]
        if not is_library(function.__module__, code.co_filename):
            parts += [(name, self.by_value(value)) for name, value in variables_read(function)]
        return code, *parts

    def _of_method(self, method: MethodType) -> Hashable:
        return self.by_value(method.__func__), self.by_value(method.__self__)

    def _of_partial(self, function: partial[Any]) -> Hashable:
        return tuple(self.by_value(part) for part in (function.func, function.args, function.keywords))

    def _of_class(self, cls: type) -> Hashable:
        if class_is_library(cls):
            return cls
        own = {name: value for name, value in vars(cls).items() if name not in _GENERATED}
        return (
            identities.number(cls),
            *((name, self.by_value(_function_of(value))) for name, value in own.items()),
            *(self.by_value(base) for base in cls.__bases__),
        )

    def _of_keras(self, item: Any) -> Hashable:
        """
        Of what has variables, which compiled code reads when it runs: the object itself, with the settings that are
        read once. These are public attributes, and private ones that hold plain data.
        """
        if hasattr(item, "__array__"):
            return ("itself", identities.number(item)) if hasattr(item, "assign") else _of_array(_numpy(item))
        parts: list[Hashable] = [identities.number(item), self.by_value(type(item))]
        for name, value in getattr(item, "__dict__", {}).items():
            if isinstance(value, _SCALARS):
                parts.append((name, type(value), value))
            elif _is_setting(item, name, value):
                parts.append((name, self.by_value(value)))
        layers = item._flatten_layers(include_self=False) if hasattr(item, "_flatten_layers") else ()
        return *parts, *(self.by_value(layer) for layer in layers)

    def _of_array_like(self, item: Any) -> Hashable:
        return type(item), _of_array(_numpy(item))

    def _of_object(self, item: Any) -> Hashable:
        """Of an object of a class that is none of the known kinds: its class, and what it holds."""
        wrapped = _wrapped(item)
        if wrapped is not None:
            return self.by_value(type(item)), self.by_value(wrapped)
        is_plain = _holds_attributes_only(type(item))  # type: ignore[arg-type]
        found = _attributes(item) if is_plain else _reduced(item)
        return self.by_value(type(item)), self.by_value(found)

    def _of_dataclass(self, item: Any) -> Hashable:
        names = {field.name for field in fields(item)}
        constants, numbers = constants_of(item), numbers_of(item)
        parts: list[Hashable] = [self.by_value(type(item))]
        for name in (field.name for field in fields(item)):
            value = getattr(item, name, None)
            if not self._values_are_inputs or name in constants:
                parts.append(self.by_value(value))
            else:
                parts.append(float if name in numbers else self.of(value))
        others = {name: value for name, value in _attributes(item).items() if name not in names}
        return *parts, *((name, self.by_value(value)) for name, value in others.items())


def _of_shape(shape: Shape) -> Hashable:
    sizes = tuple(repr(size) if isinstance(size, Tensor) else size for size in shape.sizes)
    return shape.names, sizes, tuple(str(dim.dim_type) for dim in shape), repr(shape.item_names)


def _of_array(array: np.ndarray) -> Hashable:
    """Type, shape and contents; long contents by their BLAKE2 digest."""
    if array.dtype.hasobject:
        raise NoKeyError(f"an array of Python objects of the shape {array.shape}")
    if array.nbytes > LARGEST:
        raise NoKeyError(f"an array of {array.nbytes / 2**20:.0f} MB, which is too much to compare at every step")
    contents = np.ascontiguousarray(array).tobytes()
    return array.dtype.str, array.shape, contents if len(contents) <= _SHORT else hashlib.blake2b(contents).digest()


def _numpy(item: Any) -> np.ndarray:
    """The values of a native tensor."""
    try:
        return np.asarray(item)
    except Exception as error:
        raise NoKeyError(f"a {type(item).__name__} whose value is not known yet") from error


def _of_module(_: Key, module: ModuleType) -> Hashable:
    return module.__name__


def _random(_: Key, item: Any) -> Hashable:
    raise NoKeyError(f"the random number generator {type(item).__name__}")


def _cells(function: FunctionType) -> tuple[Any, ...]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that is not bound yet
            found.append(NotImplemented)
    return tuple(found)


def _function_of(attribute: Any) -> Any:
    """The function or functions in what a class may hold in place of one."""
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


def _is_setting(item: Any, name: str, value: Any) -> bool:
    """Whether an attribute of a Keras object is read when it is traced: public data, not what wraps a method."""
    if name == "_learning_rate":
        return True
    if name.startswith("_"):
        return isinstance(value, (set, list, tuple)) and bool(value) and all(isinstance(v, _SCALARS) for v in value)
    return name not in _class_names(type(item))  # type: ignore[arg-type]


def _wrapped(item: Any) -> Any:
    """The function in what JAX, PhiML or `functools` make of one, e.g. to compile it; `None` if there is none."""
    function = item.f if hasattr(item, "f") and type(item).__module__.startswith("phiml.") else None
    return getattr(item, "__wrapped__", function)


def _attributes(item: Any) -> dict[str, Any]:
    """All attributes of an object but the values of cached properties."""
    slots, derived = _names_of(type(item))  # type: ignore[arg-type]
    found = {name: getattr(item, name) for name in slots if hasattr(item, name)}
    attributes = getattr(item, "__dict__", {})
    return found | {name: value for name, value in attributes.items() if name not in derived}


@lru_cache(maxsize=4096)
def _names_of(cls: type) -> tuple[tuple[str, ...], frozenset[str]]:
    """The slots of a class, and its cached properties."""
    bases = [vars(base) for base in cls.__mro__]
    derived = (name for base in bases for name, value in base.items() if isinstance(value, cached_property))
    return tuple(name for base in cls.__mro__ for name in _slots(base)), frozenset(derived)


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


@lru_cache(maxsize=4096)
def _holds_attributes_only(cls: type) -> bool:
    """Whether objects of a class have no state in C: they take no more memory than their attributes."""
    slots = sum(len(_slots(base)) for base in cls.__mro__)
    pointers = slots + (cls.__dictoffset__ > 0) + (cls.__weakrefoffset__ > 0)
    return cls.__itemsize__ == 0 and cls.__basicsize__ <= object.__basicsize__ + _POINTER * pointers


def _reduced(item: Any) -> Any:
    """What `copy` and `pickle` take an object for."""
    try:
        reduced = item.__reduce_ex__(4)
    except Exception as error:
        raise NoKeyError(f"a {type(item).__module__}.{type(item).__qualname__}") from error
    if isinstance(reduced, str):
        return reduced
    made, arguments, *rest = reduced
    state = rest[0] if rest else None
    listed = [tuple(part) if part is not None else None for part in rest[1:3]]
    return made, arguments, state, listed


_KINDS: tuple[tuple[Any, Callable[[Key, Any], Hashable]], ...] = (
    (Tensor, Key._of_tensor),
    (Field, Key._of_field),
    (Shape, lambda _, shape: _of_shape(shape)),
    (enum.Enum, lambda _, item: (type(item), item.name)),
    ((np.ndarray, np.generic), lambda _, array: _of_array(np.asarray(array))),
    ((tuple, list), Key._of_sequence),
    ((set, frozenset), Key._of_set),
    (Mapping, Key._of_mapping),
    (FunctionType, Key._of_function),
    (MethodType, Key._of_method),
    (partial, Key._of_partial),
    (type, Key._of_class),
    (ModuleType, _of_module),
    (_RANDOM, _random),
    (Backend, lambda _, backend: (Backend, backend.name)),
    ((BuiltinFunctionType, CodeType), lambda _, item: item),
)


@lru_cache(maxsize=4096)
def _describer(cls: type) -> Callable[[Key, Any], Hashable]:
    """How objects of a class are described."""
    for kinds, describe in _KINDS:
        if issubclass(cls, kinds):
            return describe
    if is_dataclass(cls):
        return Key._of_dataclass
    if any(base.__module__.startswith(_KERAS) for base in cls.__mro__):
        return Key._of_keras
    if hasattr(cls, "__array__") and hasattr(cls, "shape"):
        return Key._of_array_like
    return Key._of_object
