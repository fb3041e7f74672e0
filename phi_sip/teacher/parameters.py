"""The parameters of a physics as arrays, for files."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.backend import choose_backend
from phiml.math import Tensor

from ..compilation import keys
from ..compilation.objects import NoKeyError
from ..states import order


def parameters_in(item: Any) -> list[np.ndarray]:
    """Returns all numbers and tensors in the fields of a physics, and of what they hold. Code is not looked into."""
    found: list[np.ndarray] = []

    def keep(value: Any) -> Any:
        native = order.native(value, value.shape) if isinstance(value, Tensor) else value
        found.append(np.asarray(choose_backend(native).numpy(native)))
        return value

    _mapped(keep, item)
    return found


def with_parameters(item: Any, arrays: Iterable[np.ndarray]) -> Any:
    """Returns a physics with other values, in the order of `parameters_in`."""
    remaining = iter(arrays)

    def read(value: Any) -> Any:
        array = next(remaining)
        if isinstance(value, Tensor):
            return math.reshaped_tensor(array, [*value.shape], convert=False)
        return type(value)(array.item())

    return _mapped(read, item)


def differ_in_parameters_only(a: Any, b: Any) -> bool:
    """Tells whether two physics are the same but for `parameters_in`, as far as that can be told."""

    def without(item: Any) -> Any:
        return _mapped(lambda value: 0, item)

    try:
        return a is b or keys.of_value(without(a)) == keys.of_value(without(b))
    except NoKeyError:
        return False


def with_sizes(item: Any, resize: Callable[[Tensor], Tensor]) -> Any:
    """Returns a physics of another number of samples, whose values are of no matter."""
    return _mapped(lambda value: resize(value) if isinstance(value, Tensor) else value, item)


def _mapped(function: Callable[[Any], Any], item: Any) -> Any:
    """Returns a copy with each number and tensor replaced."""
    if isinstance(item, Tensor) or (isinstance(item, Real) and not isinstance(item, bool)):
        return function(item)
    if isinstance(item, Field):
        values = function(item.values)
        return item if values is item.values else item.with_values(values)
    if type(item) in (tuple, list):
        return type(item)(_mapped(function, part) for part in item)
    if type(item) is dict:
        return {key: _mapped(function, value) for key, value in item.items()}
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return item
    made = copy.copy(item)
    for name in [name for name in vars(made) if isinstance(getattr(type(made), name, None), cached_property)]:
        del made.__dict__[name]
    for field in dataclasses.fields(item):
        object.__setattr__(made, field.name, _mapped(function, getattr(item, field.name)))
    return made
