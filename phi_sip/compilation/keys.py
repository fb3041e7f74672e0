"""What tells two computations apart: a key, equal only for objects with which one computes the same."""

from __future__ import annotations

import enum
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from threading import Lock, RLock
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from phi.field import Field
from phiml.backend import Backend
from phiml.math import Shape, Tensor

from ..states import trees
from .code import class_is_library, is_library, plain_values, variables_read
from .identity import identities
from .inputs import constants_of, numbers_of
from .objects import (
    SCALARS,
    NoKeyError,
    array_key,
    attributes_of,
    cells_of,
    functions_in,
    holds_attributes_only,
    is_reducible,
    is_setting,
    numpy_of,
    reduced,
    shape_key,
)

_KERAS = ("keras.", "tensorflow.")
_ARRAYS = ("torch", "jax")  # jaxlib, too
_PLAIN = {bool, int, str, bytes, complex, type(None), type(...), type(NotImplemented)}
_NUMBERS_AND_WORDS = (int, float, complex, str, bytes)
_THEMSELVES = (np.ufunc, CodeType, type(Lock()), type(RLock()))  # nothing that is computed depends on their state
_RANDOM = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
_WRAPPERS = (type(lru_cache(len)),)  # which hold nothing but what is computed again
LARGEST = 2**25  # bytes of all arrays that are compared at every use
# What Python and `dataclass` add to classes.
_GENERATED = {
    *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__abstractmethods__", "_abc_impl"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__hash__", "__slots__", "__qualname__"),
    *("__static_attributes__", "__firstlineno__", "__replace__", "__orig_bases__", "__parameters__"),
}


def of_tensors(tensors: Sequence[Tensor]) -> tuple[Hashable, ...]:
    """Returns what tells tensors apart whose values are inputs: dims, their names, and type."""
    return tuple((shape_key(tensor.shape), repr(tensor.dtype)) for tensor in tensors)


def of_state(tree: Any) -> Hashable:
    """Returns what tells states apart whose values are inputs: structure, dims, types, boundaries and grids."""
    return _made(lambda: _of_state(tree))


def of_parameters(item: Any, opaque: Iterable[Any] = (), logs: Container[int] = ()) -> Hashable:
    """
    Returns what tells physics or solvers apart whose tensors of `inputs.map_inputs` are inputs.

    Args:
        item: Physics or solver.
        opaque: See `of_value`.
        logs: See `of_value`.
    """
    return _made(lambda: Key(values_are_inputs=True, opaque=opaque, logs=logs).of(item))


def of_value(item: Any, opaque: Iterable[Any] = (), logs: Container[int] = ()) -> Hashable:
    """
    Returns what tells objects apart that become part of what is compiled: everything in them, by value.

    Args:
        item: Anything.
        opaque: Objects that stand for themselves, whatever state they have: network and optimizer.
        logs: Ids of lists of which it does not matter what they hold, see `lists_in`.
    """
    return _made(lambda: Key(values_are_inputs=False, opaque=opaque, logs=logs).of(item))


def lists_in(item: Any, opaque: Iterable[Any] = ()) -> list[tuple[list[Any], int]]:
    """
    Returns all lists that an object holds, with their lengths.

    Code that counts its calls, or keeps what it has computed, adds to a list when it is compiled, but not when what is
    compiled runs. Such a list is a log: what it holds is no reason to compile anew.
    """
    key = Key(values_are_inputs=True, opaque=opaque)
    _made(lambda: key.of(item))
    return key.lists()


def grown(lists: Iterable[tuple[list[Any], int]]) -> list[list[Any]]:
    """Returns those of `lists_in` that have become longer since."""
    return [found for found, length in lists if len(found) > length]


def _made(make: Callable[[], Hashable]) -> Hashable:
    try:
        return make()
    except NoKeyError:
        raise
    except RecursionError as error:
        raise NoKeyError("an object in which too many others are nested") from error
    except Exception as error:  # of the user's code, which looking at attributes can call
        raise NoKeyError(f"an object that cannot be looked at ({type(error).__name__}: {error})") from error


def _of_state(tree: Any) -> Hashable:
    """As `trees.tree_map` goes through it."""
    if tree is None or isinstance(tree, (int, float)):
        return (type(tree),)
    if isinstance(tree, (Tensor, Field)):
        return Key(values_are_inputs=True).of(tree)
    if isinstance(tree, (tuple, list)):
        return type(tree), *(_of_state(item) for item in tree)
    if isinstance(tree, dict):
        return dict, *((key, _of_state(item)) for key, item in tree.items())
    values = trees.value_attributes(tree)
    others = {name: value for name, value in attributes_of(tree).items() if name not in values}
    return of_value((type(tree), others)), *((name, _of_state(getattr(tree, name))) for name in values)


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
        logs: See `of_value`.

    Raises:
        NoKeyError: from `of`, naming an object whose state cannot be told: a generator, a random number generator, an
            open file, a tensor that is being traced, or arrays of more than `LARGEST` bytes.
    """

    def __init__(self, values_are_inputs: bool, opaque: Iterable[Any] = (), logs: Container[int] = ()) -> None:
        self._values_are_inputs, self._logs = values_are_inputs, logs
        self._opaque = {id(item): item for item in opaque}
        self._bytes = 0  # of all arrays
        self._seen: dict[Hashable, tuple[int, Any]] = {}  # keeps objects alive, so that no two have one id

    def of(self, item: Any) -> Hashable:
        """Returns the key of `item`."""
        if type(item) in _PLAIN:
            return type(item), item
        if type(item) is float:
            return float, item.hex()
        if id(item) in self._opaque:
            return "itself", identities.number(item)
        if type(item) is list and id(item) in self._logs:
            return ("log",)
        place = id(item), self._values_are_inputs
        if place in self._seen:
            return "again", self._seen[place][0]
        self._seen[place] = len(self._seen), item
        return _describer(type(item))(self, item)  # type: ignore[arg-type]  # mypy takes classes for unhashable

    def lists(self) -> list[tuple[list[Any], int]]:
        """Returns the lists that it came across, with their lengths."""
        return [(item, len(item)) for _, item in self._seen.values() if type(item) is list]

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
        try:
            arrays = [part.numpy(part.shape) for part in (tensor[index] if index else tensor for index in parts)]
        except Exception as error:  # a tensor of a graph that is gone
            raise NoKeyError("a tensor whose value is not known") from error
        return about, *(self._of_array(array) for array in arrays)

    def _of_array(self, array: np.ndarray) -> Hashable:
        self._bytes += array.nbytes
        if self._bytes > LARGEST:
            raise NoKeyError(f"arrays of more than {LARGEST // 2**20} MB, which is too much to compare at every step")
        if isinstance(array, np.ma.MaskedArray):
            return np.ma.MaskedArray, array_key(array.data), array_key(np.ma.getmaskarray(array))
        return self.by_value(type(array)), array_key(np.asarray(array)), *self._of_extra_attributes(array)

    def _of_field(self, field: Field) -> Hashable:
        return Field, self.of(field.values), self.by_value(field.boundary), self._of_geometry(field)

    def _of_geometry(self, field: Field) -> Hashable:
        if field.is_grid:
            return self.by_value((field.is_staggered, field.resolution, field.bounds.lower, field.bounds.upper))
        return self.by_value(field.geometry)

    def _of_sequence(self, items: Sequence[Any]) -> Hashable:
        return self.by_value(type(items)), *(self.of(item) for item in items), *self._of_extra_attributes(items)

    def _of_set(self, items: Iterable[Any]) -> Hashable:
        return type(items), frozenset(self.by_value(item) for item in items)

    def _of_mapping(self, items: Mapping[Any, Any]) -> Hashable:
        value_of = self.of if isinstance(items, dict) else self.by_value  # as `map_inputs` looks into dicts only
        pairs = ((self.by_value(key), value_of(value)) for key, value in items.items())
        default = items.default_factory if isinstance(items, defaultdict) else None
        return self.by_value(type(items)), self.by_value(default), *pairs, *self._of_extra_attributes(items)

    def _of_number_or_word(self, item: Any) -> Hashable:
        """Of an object of a subclass of a number or string."""
        base = next(kind for kind in _NUMBERS_AND_WORDS if isinstance(item, kind))
        return self.by_value(type(item)), self.of(base(item)), *self._of_extra_attributes(item)

    def _of_builtin(self, function: BuiltinFunctionType) -> Hashable:
        """Of a function in C; one that is bound to an object counts with it."""
        owner = function.__self__
        return function if owner is None or isinstance(owner, ModuleType) else (function.__name__, self.by_value(owner))

    def _of_extra_attributes(self, item: Any) -> tuple[Hashable, ...]:
        """Attributes of a subclass of a built-in container."""
        if not getattr(item, "__dict__", None) or class_is_library(type(item)):
            return ()
        return (self.by_value(vars(item)),)

    def _of_function(self, function: FunctionType) -> Hashable:
        code = function.__code__
        if function.__closure__ is None and is_library(function.__module__, code.co_filename):
            return function
        bound = (function.__defaults__, function.__kwdefaults__, function.__dict__, cells_of(function))
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
            *((name, self.by_value(functions_in(value))) for name, value in own.items()),
            *(self.by_value(base) for base in cls.__bases__),
        )

    def _of_keras(self, item: Any) -> Hashable:
        """
        Of what has variables, which compiled code reads when it runs: the object itself, with the settings that are
        read once. These are public attributes, and private ones that hold plain data.
        """
        if hasattr(item, "__array__"):
            return ("itself", identities.number(item)) if hasattr(item, "assign") else self._of_array(numpy_of(item))
        parts: list[Hashable] = [identities.number(item), self.by_value(type(item))]
        is_of_user = not class_is_library(type(item))
        for name, value in getattr(item, "__dict__", {}).items():
            if isinstance(value, SCALARS):
                parts.append((name, type(value), value))
            elif is_setting(item, name, value, is_of_user):
                parts.append((name, self.by_value(value)))
        layers = item._flatten_layers(include_self=False) if hasattr(item, "_flatten_layers") else ()
        return *parts, *(self.by_value(layer) for layer in layers)

    def _of_array_like(self, item: Any) -> Hashable:
        return type(item), self._of_array(numpy_of(item))

    def _of_object(self, item: Any) -> Hashable:
        """Of an object of a class that is none of the known kinds: its class, and what it holds."""
        if holds_attributes_only(type(item)):  # type: ignore[arg-type]
            return self.by_value(type(item)), self.by_value(attributes_of(item))
        if callable(item) and class_is_library(type(item)) and not is_reducible(item):
            return type(item), item  # a function of a library in C
        return self.by_value(type(item)), self.by_value(reduced(item))

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
        others = {name: value for name, value in attributes_of(item).items() if name not in names}
        return *parts, *((name, self.by_value(value)) for name, value in others.items())


def _of_module(key: Key, module: ModuleType) -> Hashable:
    return module.__name__, key.by_value(plain_values(module))


def _describe_wrapper(key: Key, item: Any) -> Hashable:
    return type(item), key.by_value(item.__wrapped__)


def _random(_: Key, item: Any) -> Hashable:
    raise NoKeyError(f"the random number generator {type(item).__name__}")


_KINDS: tuple[tuple[Any, Callable[[Key, Any], Hashable]], ...] = (
    (Tensor, Key._of_tensor),
    (Field, Key._of_field),
    (Shape, lambda _, shape: shape_key(shape)),
    (enum.Enum, lambda _, item: (type(item), item.name)),
    (np.ndarray, Key._of_array),
    (np.generic, lambda _, item: array_key(np.asarray(item))),
    (_NUMBERS_AND_WORDS, Key._of_number_or_word),
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
    (BuiltinFunctionType, Key._of_builtin),
    (_THEMSELVES, lambda _, item: item),
    (logging.Logger, lambda _, logger: (logging.Logger, logger.name)),
    (_WRAPPERS, _describe_wrapper),
)


@lru_cache(maxsize=4096)
def _describer(cls: type) -> Callable[[Key, Any], Hashable]:
    """How objects of a class are described."""
    for kinds, describe in _KINDS:
        if issubclass(cls, kinds):
            return describe
    if cls.__module__.startswith("jaxlib.") and cls.__name__ == "PjitFunction":
        return _describe_wrapper
    if is_dataclass(cls):
        return Key._of_dataclass
    if any(base.__module__.startswith(_KERAS) for base in cls.__mro__):
        return Key._of_keras
    if hasattr(cls, "__array__") and cls.__module__.startswith(_ARRAYS):
        return Key._of_array_like
    return Key._of_object
