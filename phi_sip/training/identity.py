"""What a run is made by, as plain data, and what differs when it goes on."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from phi.field import Field
from phiml import math
from phiml.math import Tensor

from ..descriptions.objects import describe
from ..errors import ParameterError, UnsupportedError
from ..states import trees
from ..text.printable import sentence, shortened

# What the weights and the state of the optimizer mean something for. All else may change from one part of a run to the
# next, and is reported.
FIXED = ("framework", "physics", "solver", "precision", "network", "optimizer", "schedule")
REPORTED = ("layers", "settings", "plan", "made_by")
LONGEST = 200  # characters of a value in a message

Difference = tuple[str, Any, Any]


def identity_of(item: Any) -> Any:
    """
    Plain data that are the same for the same physics or solver, in every process. Where `describe` cannot write it,
    code is named, and tensors are given by their checksums.
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
    """Fields and attributes, without what is computed from them when it is first asked for."""
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


def differences(before: Any, now: Any, at: str = "") -> Iterator[Difference]:
    """Keys at which two trees of plain data differ, with both values; `None` where one has no such key."""
    before, now = plain(before), plain(now)
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from differences(before.get(key), now.get(key), f"{at}.{key}" if at else key)
    elif before != now and json.dumps(before) != json.dumps(now):  # NaN is not equal to itself
        yield at, before, now


def said(difference: Difference) -> str:
    """A difference in words."""
    key, before, now = difference
    there, here = (shortened(json.dumps(value), LONGEST) for value in (before, now))
    return f"{f'{key}: ' if key else ''}{there} there, {here} here"


def check_plain(owner: str, name: str, value: Any) -> dict[str, Any]:
    """
    A mapping as it is after writing and reading.

    Raises:
        ParameterError: if it is none, or cannot be written; the message names the key.
    """
    if not isinstance(value, Mapping):
        raise ParameterError(f"{owner}: {name} is a {type(value).__name__}. Give a dict: {name}={{'seed': 0}}.")
    for key, part in value.items():
        try:
            plain({key: part})
        except (TypeError, ValueError, RecursionError) as error:
            raise ParameterError(
                f"{owner}: {name}[{key!r}] cannot be kept in a file: {sentence(error)} Give plain data: texts, "
                f"numbers, lists and dicts with texts as keys, e.g. str(path) or array.tolist()."
            ) from error
    return plain(dict(value))  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """As it is after writing and reading."""
    return json.loads(json.dumps(value))
