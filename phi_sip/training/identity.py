"""What a run is made by, as plain data that are the same in every process."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from phi.field import Field
from phiml import math
from phiml.math import Tensor

from ..descriptions.to_data import describe
from ..errors import UnsupportedError
from ..states import trees


def identity_of(item: Any) -> Any:
    """
    Returns plain data that are the same for the same physics or solver, in every process. Where `describe` cannot write
    it, code is named, and tensors are given by their checksums.
    """
    try:
        return describe(item)
    except UnsupportedError:
        return _identity(item)


def _identity(item: Any) -> Any:
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    if isinstance(item, Mapping):
        return {str(key): _identity(value) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [_identity(part) for part in item]
    if isinstance(item, Field):
        return {"values": _identity(item.values), "boundary": type(item.boundary).__name__}
    if isinstance(item, Tensor):
        return _sum_of(item)
    if isinstance(item, functools.partial):
        return {"function": _identity(item.func), "arguments": _identity([*item.args, item.keywords])}
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return {"type": type(item).__qualname__, **{name: _identity(value) for name, value in _parameters(item)}}
    return getattr(item, "__qualname__", type(item).__qualname__)


def _parameters(item: Any) -> Iterator[tuple[str, Any]]:
    """Yields fields and attributes, without what is computed from them when it is first asked for."""
    for name in dict.fromkeys([*(entry.name for entry in dataclasses.fields(item)), *getattr(item, "__dict__", {})]):
        if not isinstance(getattr(type(item), name, None), functools.cached_property):
            yield name, getattr(item, name, None)


def _sum_of(tensor: Tensor) -> str:
    leaves = trees.leaves(tensor)
    sizes = ", ".join(f"{name}={size}" for leaf in leaves for name, size in _sorted(leaf))
    if not all(leaf.available for leaf in leaves):
        return f"({sizes})"
    digest = hashlib.sha256()
    for leaf in leaves:
        order = [name for name, _ in _sorted(leaf)]
        with math.precision(64):
            digest.update(leaf.numpy(order).tobytes())
    return f"({sizes}) {digest.hexdigest()[:16]}"


def _sorted(leaf: Tensor) -> list[tuple[str, Any]]:
    return sorted(zip(leaf.shape.names, leaf.shape.sizes, strict=True))
