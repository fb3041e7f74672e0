"""Physics, rules and solvers as plain data, for files, and back."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from phiml import math
from phiml.math import Tensor, channel

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import ParameterError, UnknownNameError, UnsupportedError
from ..plugins.collection import collect
from ..plugins.registry import get_physics
from ..regularization import Regularization, Spectrum
from ..regularization.noise import EmptyModes
from ..regularization.parameter_choice import ParameterChoice

PARTS = (Regularization, Spectrum, ParameterChoice, EmptyModes, InverseSolver)


def describe(item: Any) -> Any:
    """
    Plain data that say what `item` is: numbers, words, lists and dicts with words as keys, as JSON and TOML hold them.

    | item | data |
    |---|---|
    | physics | `{"name": registered name, "parameters": {…}}` |
    | rule, spectrum, parameter choice, solver, `EmptyModes` | `{"type": class name, …}` |
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


def construct(data: Any) -> Any:
    """
    What `describe` has described.

    Raises:
        UnknownNameError: if a name or type is not registered.
        ParameterError: if parameters do not fit.
        UnsupportedError: if something is of a type that its place does not take.
    """
    if isinstance(data, list):
        return [construct(part) for part in data]
    if not isinstance(data, Mapping):
        return data
    if set(data) == {"vector"} and isinstance(data["vector"], Mapping) and data["vector"]:
        return math.tensor(_numbers(data["vector"].values(), data), channel(vector=",".join(_names(data["vector"]))))
    if set(data) == {"channel"} and isinstance(data["channel"], Mapping) and len(data["channel"]) == 1:
        (values,) = data["channel"].values()
        return math.tensor(_numbers(values, data), channel(*_names(data["channel"])))
    if "name" in data:
        return _physics(data)
    if "type" in data:
        return _part(data)
    raise ParameterError(
        f"{dict(data)} is neither physics, which has a name, nor a rule or solver, which has a type, nor a vector."
    )


def _numbers(values: Any, data: Mapping[str, Any]) -> list[float]:
    """Those of a vector; `data` is the table that holds them, for the message."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ParameterError(f"{dict(data)}: {values!r} is no list of numbers.")
    found = list(values)
    if not found or not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found):
        raise ParameterError(f"{dict(data)}: {found} are not numbers, at least one.")
    return [float(value) for value in found]


def _names(dims: Iterable[str]) -> list[str]:
    """Names of axes or dims that PhiML can have."""
    found = list(dims)
    if not all(name.isidentifier() for name in found):
        raise ParameterError(f"{', '.join(map(repr, found))}: axes and dims are named by letters, digits and _.")
    return found


def _physics(data: Mapping[str, Any]) -> InvertiblePhysics:
    name, parameters = data["name"], data.get("parameters", {})
    if not isinstance(name, str) or not isinstance(parameters, Mapping):
        raise ParameterError(f"{dict(data)} is no physics: its name is a word, and its parameters are a table.")
    extra = set(data) - {"name", "parameters"}
    if extra:
        raise ParameterError(f"Physics '{name}' has a name and parameters, but not {', '.join(sorted(extra))}.")
    return get_physics(name, **{key: construct(value) for key, value in parameters.items()})


def _part(data: Mapping[str, Any]) -> Any:
    name, public = data["type"], public_parts()
    if not isinstance(name, str) or name not in public:
        close = difflib.get_close_matches(str(name), public, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise UnknownNameError(f"There is no rule, spectrum or solver of type {name!r}.{hint}")
    arguments = {key: construct(value) for key, value in data.items() if key != "type"}
    try:
        inspect.signature(public[name]).bind(**arguments)
    except TypeError as error:
        raise ParameterError(f"{name} takes {inspect.signature(public[name])}: {error}.") from error
    return public[name](**arguments)


def public_parts() -> dict[str, type]:
    """The classes of parts that `phi_sip` exports or plugins register, by name."""
    import phi_sip

    exported = [getattr(phi_sip, name) for name in phi_sip.__all__]
    exported += [cls for cls, _ in collect("sip_solvers", InverseSolver).classes.values()]
    return {
        cls.__name__: cls
        for cls in exported
        if isinstance(cls, type) and issubclass(cls, PARTS) and not inspect.isabstract(cls)
    }


def _registered_name(physics: InvertiblePhysics) -> str:
    """Its name, if that is registered for this very class."""
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
