"""Physics, rules and solvers made of plain data, as files hold them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from phiml import math
from phiml.math import channel

from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnknownNameError
from ..plugins.registry import get_physics
from .parts import public_parts


def construct(data: Any) -> Any:
    """
    Makes what `describe` has described.

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
    """Returns the numbers of a vector; `data` is the table that holds them, for the message."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ParameterError(f"{dict(data)}: {values!r} is no list of numbers.")
    found = list(values)
    if not found or not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found):
        raise ParameterError(f"{dict(data)}: {found} are not numbers, at least one.")
    return [float(value) for value in found]


def _names(dims: Iterable[str]) -> list[str]:
    """Returns names of axes or dims, if PhiML can have them."""
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
