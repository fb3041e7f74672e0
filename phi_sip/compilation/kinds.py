"""Which function makes the key of an object, by its class."""

from __future__ import annotations

import enum
import logging
import random
from collections.abc import Callable, Hashable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache, partial
from threading import Lock, RLock
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from phi.field import Field
from phiml.backend import Backend
from phiml.math import Shape, Tensor

from .code_keys import of_builtin, of_class, of_function, of_method, of_module, of_partial, of_wrapper
from .data_keys import (
    NUMBERS_AND_WORDS,
    of_array,
    of_array_like,
    of_field,
    of_mapping,
    of_number_or_word,
    of_sequence,
    of_set,
    of_tensor,
)
from .object_keys import of_dataclass, of_keras, of_object, of_random_generator
from .objects import array_key, shape_key
from .visitor import Visitor

Describer = Callable[[Visitor, Any], Hashable]
_KERAS = ("keras.", "tensorflow.")
_ARRAYS = ("torch", "jax")  # jaxlib, too
_THEMSELVES = (np.ufunc, CodeType, type(Lock()), type(RLock()))  # nothing that is computed depends on their state
_RANDOM = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
_WRAPPERS = (type(lru_cache(len)),)  # which hold nothing but what is computed again

_KINDS: tuple[tuple[Any, Describer], ...] = (
    (Tensor, of_tensor),
    (Field, of_field),
    (Shape, lambda _, shape: shape_key(shape)),
    (enum.Enum, lambda _, item: (type(item), item.name)),
    (np.ndarray, of_array),
    (np.generic, lambda _, item: array_key(np.asarray(item))),
    (NUMBERS_AND_WORDS, of_number_or_word),
    ((tuple, list), of_sequence),
    ((set, frozenset), of_set),
    (Mapping, of_mapping),
    (FunctionType, of_function),
    (MethodType, of_method),
    (partial, of_partial),
    (type, of_class),
    (ModuleType, of_module),
    (_RANDOM, of_random_generator),
    (Backend, lambda _, backend: (Backend, backend.name)),
    (BuiltinFunctionType, of_builtin),
    (_THEMSELVES, lambda _, item: item),
    (logging.Logger, lambda _, logger: (logging.Logger, logger.name)),
    (_WRAPPERS, of_wrapper),
)


@lru_cache(maxsize=4096)
def describer(cls: type) -> Describer:
    """Returns the function that makes the keys of objects of a class."""
    for kinds, describe in _KINDS:
        if issubclass(cls, kinds):
            return describe
    if cls.__module__.startswith("jaxlib.") and cls.__name__ == "PjitFunction":
        return of_wrapper
    if is_dataclass(cls):
        return of_dataclass
    if any(base.__module__.startswith(_KERAS) for base in cls.__mro__):
        return of_keras
    if hasattr(cls, "__array__") and cls.__module__.startswith(_ARRAYS):
        return of_array_like
    return of_object
