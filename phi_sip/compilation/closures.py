"""
The tensors that functions of the user's keep: in closures, such as `lambda x: nu * x`, and as defaults of arguments.

A compiled update takes them as inputs, so that a new closure over the same code does not compile anew. That holds for
tensors and fields that stand there by themselves, in tuples, or in further such functions. All else counts by value.
So does everything of functions whose variables may change while they run, and of those that have looked at values.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any
from weakref import WeakSet

from phi.field import Field
from phiml import math
from phiml.math import Tensor

from .code import is_library, nested
from .objects import cells_of
from .visitor import Visitor

Map = Callable[[Tensor], Tensor]
_LOOKS_AT_VALUES: WeakSet[CodeType] = WeakSet()


def has_inputs(item: Any) -> bool:
    """Tells whether something is a function that keeps tensors which a compiled update takes as inputs."""
    if not isinstance(item, FunctionType):
        return False
    found = list(_functions(item, ()))
    functions = [function for function in found if function is not None]
    if len(functions) < len(found) or any(map(_is_excluded, functions)):
        return False
    return any(_is_input(part) for function in functions for part in _flat(_kept(function)))


def looks_at_values(item: Any) -> None:
    """Notes that the functions which a function consists of have to know the values of the tensors that they keep."""
    _LOOKS_AT_VALUES.update(function.__code__ for function in _functions(item, ()) if function is not None)


def with_inputs(function: Map, item: FunctionType) -> FunctionType:
    """
    Returns a copy of a function with its tensors replaced.

    Args:
        function: Applied to each tensor.
        item: A function that `has_inputs`, or one that is kept by such a function.
    """

    def replaced(part: Any) -> Any:
        if _is_input(part):
            return part.with_values(function(part.values)) if isinstance(part, Field) else function(part)
        if type(part) is tuple:
            return tuple(map(replaced, part))
        return with_inputs(function, part) if _may_have_inputs(part) else part

    cells = [
        cell if new is old else CellType(new)
        for cell, old, new in zip(item.__closure__ or (), cells_of(item), map(replaced, cells_of(item)), strict=True)
    ]
    made = FunctionType(item.__code__, item.__globals__, item.__name__, replaced(item.__defaults__), tuple(cells))
    made.__kwdefaults__ = {name: replaced(value) for name, value in (item.__kwdefaults__ or {}).items()}
    for name in ("__module__", "__qualname__", "__doc__", "__annotations__"):
        setattr(made, name, getattr(item, name))
    made.__dict__.update(item.__dict__)
    return made


def key_of_inputs(visitor: Visitor, item: FunctionType) -> tuple[Hashable, ...]:
    """Returns the key of what a function keeps. The tensors that `with_inputs` replaces count by dims and type only."""

    def key(part: Any) -> Hashable:
        if _is_input(part) or _may_have_inputs(part):
            return visitor.of(part)
        return (tuple, *map(key, part)) if type(part) is tuple else visitor.by_value(part)

    return key(item.__defaults__), *((name, key(value)) for name, value in _keywords(item).items()), key(cells_of(item))


def _is_input(part: Any) -> bool:
    """Tells whether something is a dense tensor of numbers, or a field of them. Sparse matrices count by value."""
    values = part.values if isinstance(part, Field) else part
    return (
        isinstance(values, Tensor)
        and not math.is_sparse(values)
        and values.shape.is_uniform
        and values.dtype.kind in (bool, int, float, complex)
    )


def _keywords(item: FunctionType) -> Mapping[str, Any]:
    return item.__kwdefaults__ or {}


def _kept(item: FunctionType) -> tuple[Any, ...]:
    return (item.__defaults__ or (), tuple(_keywords(item).values()), cells_of(item))


def _flat(part: Any) -> Iterator[Any]:
    if type(part) is tuple:
        for each in part:
            yield from _flat(each)
    else:
        yield part


def _may_have_inputs(part: Any) -> bool:
    return isinstance(part, FunctionType) and not is_library(part.__module__, part.__code__.co_filename)


def _functions(item: FunctionType, around: tuple[FunctionType, ...]) -> Iterator[FunctionType | None]:
    """Yields a function and those that it keeps; `None` where one keeps itself."""
    if item in around:
        yield None
        return
    yield item
    for part in _flat(_kept(item)):
        if _may_have_inputs(part):
            yield from _functions(part, (*around, item))


def _is_excluded(item: FunctionType) -> bool:
    code = item.__code__
    return is_library(item.__module__, code.co_filename) or code in _LOOKS_AT_VALUES or _changes_variables(code)


@lru_cache(maxsize=4096)
def _changes_variables(code: CodeType) -> bool:
    """Tells whether code changes variables of what is around it, which copies of a function do not share."""
    free = set(code.co_freevars)
    return any(
        instruction.opname in ("STORE_DEREF", "DELETE_DEREF") and instruction.argval in free
        for part in nested(code)
        for instruction in dis.get_instructions(part)
    )
