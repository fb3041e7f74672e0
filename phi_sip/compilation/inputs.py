"""The tensors inside of physics and solvers, which are inputs of a compiled computation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

from phi.field import Field
from phiml import math
from phiml.backend import NUMPY, Backend
from phiml.math import Shape, Tensor

from ..states import trees
from ..states.parameters import as_tensor
from .closures import has_inputs

Map = Callable[[Tensor], Tensor]


def map_inputs(
    function: Map,
    item: Any,
    *,
    constant: Map = lambda tensor: tensor,
    closure: Callable[[FunctionType], Any] | None = None,
) -> Any:
    """
    Returns a copy of a physics, solver or other parameter with its tensors replaced.

    Args:
        function: Applied to each tensor, and to each number that a dataclass lists in `varying`.
        item: Dataclasses, containers, Fields and Tensors are looked into, everything else is kept.
        constant: Applied to the tensors that a dataclass lists in `constants`.
        closure: Applied to the functions that keep tensors, see `closures`. Default: these stay as they are.

    Returns:
        `item` itself if nothing in it was replaced.
    """
    if closure is not None and has_inputs(item):
        return closure(item)
    if isinstance(item, Tensor):
        return function(item)
    if isinstance(item, Field):
        return item.with_values(function(item.values))
    if isinstance(item, (tuple, list)):
        parts = [map_inputs(function, part, constant=constant, closure=closure) for part in item]
        same = all(new is old for new, old in zip(parts, item, strict=True))
        return item if same else _with_parts(item, parts)
    if isinstance(item, dict):
        values = {key: map_inputs(function, part, constant=constant, closure=closure) for key, part in item.items()}
        if all(values[key] is item[key] for key in item):
            return item
        made = copy.copy(item)  # which may be a dict of another type
        made.update(values)
        return made
    if not is_dataclass(item) or isinstance(item, type):
        return item
    return _map_fields(function, item, constant, closure)


def part_of(item: Any, place: Mapping[str, int | slice]) -> Any:
    """
    Returns a physics, solver or other parameter for a part of a batch.

    Args:
        item: See `map_inputs`. What functions hold is not seen.
        place: Which entry, or entries, of some batch dims. Tensors without them stay as they are.
    """

    def cut(tensor: Tensor) -> Tensor:
        own = {dim: at for dim, at in place.items() if dim in tensor.shape}
        return tensor[own] if own else tensor

    return map_inputs(cut, item, constant=cut)


def batch_of(item: Any) -> Shape:
    """Returns the batch dims of the tensors in a physics, solver or other parameter, see `map_inputs`."""
    found: list[Shape] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor.shape.batch)
        return tensor

    map_inputs(keep, item, constant=keep)
    return math.merge_shapes(*found)


def closures_in(item: Any) -> list[FunctionType]:
    """Returns the functions in a physics, solver or other parameter that keep tensors, see `closures`."""
    found: list[FunctionType] = []

    def keep(function: FunctionType) -> FunctionType:
        found.append(function)
        return function

    map_inputs(lambda tensor: tensor, item, closure=keep)
    return found


def _with_parts(items: Any, parts: list[Any]) -> Any:
    """Returns a sequence of the same type with other items."""
    if isinstance(items, list):
        made = copy.copy(items)
        made[:] = parts
        return made
    return getattr(items, "_make", type(items))(parts)


def natives_of(visit: Callable[[Map], Any], backend: Backend) -> list[Any]:
    """Returns the native values of all tensors to which `visit` applies the function that it is given."""
    found: list[Any] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(trees.native(trees.to_backend(tensor, backend), tensor.shape))
        return tensor

    visit(keep)
    return found


def tensors_of(item: Any, backend: Backend) -> list[Any]:
    """Returns the native values of the tensors in a physics that are inputs of what is compiled for it."""
    return natives_of(lambda keep: map_inputs(keep, item), backend)


def without_tensors(item: Any) -> Any:
    """Returns a physics without the values of these tensors."""
    return map_inputs(without_values, item, constant=on_host)


def with_tensors(item: Any, natives: Sequence[Any]) -> Any:
    """Returns a physics with other values of these tensors, in the order of `tensors_of`."""
    remaining = iter(natives)
    return map_inputs(lambda t: math.reshaped_tensor(next(remaining), [*t.shape], convert=False), item)


def that_remembers_nothing(item: Any) -> Any:
    """
    Returns a copy of a physics or solver, and of the objects in its fields, without the values of cached properties.

    What is computed while a computation is compiled has no value afterwards, and must not stay in the user's object.
    """
    if isinstance(item, (tuple, list)) and any(_caches(part) for part in item):
        return _with_parts(item, [that_remembers_nothing(part) for part in item])
    if not _caches(item):
        return item
    made = copy.copy(item)
    for name in _cached_properties(type(item)):
        made.__dict__.pop(name, None)
    for name, value in list(made.__dict__.items()):
        part = that_remembers_nothing(value)
        if part is not value:
            object.__setattr__(made, name, part)
    return made


def _caches(item: Any) -> bool:
    """Tells whether an object, or one in its attributes, has cached properties."""
    if isinstance(item, (tuple, list)):
        return any(_caches(part) for part in item)
    if isinstance(item, type) or not isinstance(getattr(item, "__dict__", None), dict):
        return False
    if isinstance(item, (Tensor, Field)) or not _is_of_physics(type(item)):
        return False
    return bool(_cached_properties(type(item))) or any(_caches(part) for part in item.__dict__.values())


def _is_of_physics(cls: type) -> bool:
    """Tells whether objects of a class may hold physics: those of `phi_sip`, and dataclasses."""
    return is_dataclass(cls) or any(base.__module__.startswith("phi_sip.") for base in cls.__mro__)


def _cached_properties(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name, v in vars(base).items() if isinstance(v, cached_property)}


def on_host(tensor: Tensor) -> Tensor:
    """Returns a constant, which must not become part of a graph when something is computed from it."""
    return trees.to_backend(tensor, NUMPY) if tensor.available else tensor


def without_values(tensor: Tensor) -> Tensor:
    """Returns a tensor of the same dims that takes no memory."""
    return math.expand(math.wrap(0.0), tensor.shape)


def _map_fields(function: Map, item: Any, constant: Map, closure: Callable[[FunctionType], Any] | None) -> Any:
    constants, numbers = constants_of(item), numbers_of(item)
    changes = {}
    for name in (field.name for field in fields(item)):
        value = getattr(item, name)
        if name in numbers:
            changes[name] = function(as_tensor(value))
        elif name in constants:
            changes[name] = map_inputs(constant, value, constant=constant)
        else:
            changes[name] = map_inputs(function, value, constant=constant, closure=closure)
    changes = {name: value for name, value in changes.items() if value is not getattr(item, name)}
    return _with_fields(item, changes) if changes else item


def _with_fields(item: Any, changes: dict[str, Any]) -> Any:
    """
    Returns a copy that is not checked again: checks look at values, which are not known while a computation is
    compiled.
    """
    made = copy.copy(item)
    for name in _remembered(item):
        made.__dict__.pop(name, None)
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made


def constants_of(item: Any) -> set[str]:
    """Fields whose values decide how to compute; all of them if the object has made something of them already."""
    names = {field.name for field in fields(item)}
    derived = set(getattr(item, "__dict__", ())) - names - _remembered(item)
    return names if derived else names & set(getattr(item, "constants", ()))


def numbers_of(item: Any) -> set[str]:
    """Fields that hold a number which may change from one computation to the next."""
    names = set(getattr(item, "varying", ())) - constants_of(item)
    return {name for name in names if isinstance(getattr(item, name, None), (int, float))}


def _remembered(item: Any) -> set[str]:
    """Values of cached properties, which belong to the object that computed them."""
    return _cached_properties(type(item)) & set(getattr(item, "__dict__", ()))
