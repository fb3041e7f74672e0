"""Keys of code: functions, methods, classes and modules."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from .closures import has_inputs, key_of_inputs
from .code import class_is_library, is_library, plain_values, variables_read
from .identity import identities
from .objects import cells_of, functions_in
from .visitor import Visitor

# What Python and `dataclass` add to classes.
_GENERATED = {
    *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__abstractmethods__", "_abc_impl"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__hash__", "__slots__", "__qualname__"),
    *("__static_attributes__", "__firstlineno__", "__replace__", "__orig_bases__", "__parameters__"),
}


def of_builtin(visitor: Visitor, function: BuiltinFunctionType) -> Hashable:
    """Returns the key of a function in C; one that is bound to an object counts with it."""
    owner = function.__self__
    return function if owner is None or isinstance(owner, ModuleType) else (function.__name__, visitor.by_value(owner))


def of_function(visitor: Visitor, function: FunctionType) -> Hashable:
    code = function.__code__
    if function.__closure__ is None and is_library(function.__module__, code.co_filename):
        return function
    if visitor.values_are_inputs and visitor.closures_are_inputs and has_inputs(function):
        parts = [visitor.by_value(function.__dict__), *key_of_inputs(visitor, function)]
    else:
        bound = (function.__defaults__, function.__kwdefaults__, function.__dict__, cells_of(function))
        parts = [visitor.by_value(part) for part in bound]
    if not is_library(function.__module__, code.co_filename):
        parts += [(name, visitor.by_value(value)) for name, value in variables_read(function)]
    return code, *parts


def of_method(visitor: Visitor, method: MethodType) -> Hashable:
    return visitor.by_value(method.__func__), visitor.by_value(method.__self__)


def of_partial(visitor: Visitor, function: partial[Any]) -> Hashable:
    return tuple(visitor.by_value(part) for part in (function.func, function.args, function.keywords))


def of_class(visitor: Visitor, cls: type) -> Hashable:
    if class_is_library(cls):
        return cls
    own = {name: value for name, value in vars(cls).items() if name not in _GENERATED}
    return (
        identities.number(cls),
        *((name, visitor.by_value(functions_in(value))) for name, value in own.items()),
        *(visitor.by_value(base) for base in cls.__bases__),
    )


def of_module(visitor: Visitor, module: ModuleType) -> Hashable:
    return module.__name__, visitor.by_value(plain_values(module))


def of_wrapper(visitor: Visitor, item: Any) -> Hashable:
    return type(item), visitor.by_value(item.__wrapped__)
