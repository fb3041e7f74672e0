"""Physics, rules and solvers as plain data, for files."""

from __future__ import annotations

import dataclasses
from typing import Any

from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..plugins.collection import collect
from .parts import PARTS, public_parts


def describe(item: Any) -> Any:
    """
    Returns plain data that say what `item` is: numbers, words, lists and dicts with words as keys, as JSON and TOML
    hold them.

    | item | data |
    |---|---|
    | physics | `{"name": registered name, "parameters": {…}}` |
    | rule, spectrum, parameter choice, solver, input, target, `EmptyModes` and the like | `{"type": class name, …}` |
    | tensor with a dim `vector`, `math.vec(x=1.0, y=0.5)` | `{"vector": {"x": 1.0, "y": 0.5}}` |
    | tensor with another channel dim | `{"channel": {"times": [2.0, 8.0]}}` |

    Parameters that are as they are by default are left out.

    Args:
        item: Physics, a part of one, a tensor, or plain data.

    Raises:
        UnsupportedError: if it holds code, fields, tensors with batch dims or objects that are not registered; the
            message names what.
    """
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    if isinstance(item, (list, tuple)):
        return [describe(part) for part in item]
    if isinstance(item, Tensor):
        return _described_tensor(item)
    if isinstance(item, InvertiblePhysics):
        return {"name": _registered_name(item), "parameters": _fields(item)}
    if (
        isinstance(item, PARTS)
        and dataclasses.is_dataclass(item)
        and public_parts().get(type(item).__name__) is type(item)
    ):
        return {"type": type(item).__name__, **_fields(item)}
    raise UnsupportedError(
        f"A {type(item).__name__} cannot be written as plain data. Physics of code, fields or measured tables are made "
        f"by a Python script."
    )


def _registered_name(physics: InvertiblePhysics) -> str:
    """Returns the name of a physics, if that is registered for this very class."""
    cls, _ = collect("sip_physics", InvertiblePhysics).classes.get(physics.name, (None, ""))
    if cls is not type(physics):
        raise UnsupportedError(
            f"{type(physics).__name__} cannot be written as plain data, as no plugin registers it under a name."
        )
    return physics.name


def _fields(item: Any) -> dict[str, Any]:
    found = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if _is_default(field, value):
            continue
        try:
            found[field.name] = describe(value)
        except UnsupportedError as error:
            raise UnsupportedError(f"{type(item).__name__}.{field.name}: {error}") from error
    return found


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return type(value) is type(default) and not isinstance(value, Tensor) and bool(value == default)


def _described_tensor(tensor: Tensor) -> Any:
    if not tensor.shape:
        return float(tensor)
    if tensor.shape.rank == 1 and tensor.shape.channel:
        labels = tensor.shape.labels[0]
        values = [float(value) for value in tensor.numpy(tensor.shape.names[0])]
        if tensor.shape.names[0] == "vector" and labels:
            return {"vector": dict(zip(labels, values, strict=True))}
        return {"channel": {tensor.shape.names[0]: values}}
    raise UnsupportedError(f"A tensor with the dims {tensor.shape} cannot be written as plain data.")
