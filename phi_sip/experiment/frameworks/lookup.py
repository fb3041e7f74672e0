"""Optimizers and schedules by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ...errors import ParameterError, UnknownNameError


def made(what: str, module: ModuleType, name: str, arguments: Mapping[str, Any]) -> Any:
    """
    What `name` of a module makes of arguments.

    Raises:
        UnknownNameError: if there is no such name.
        ParameterError: if the arguments do not fit.
    """
    try:
        return named(what, module, name)(**arguments)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"{what} '{name}' of {module.__name__} does not take {dict(arguments)}: {error}"
        ) from error


def named(what: str, module: ModuleType, name: str) -> Callable[..., Any]:
    """The public callable of a module with this name; upper and lower case are the same."""
    public = {key.lower(): key for key in dir(module) if not key.startswith("_") and callable(getattr(module, key))}
    if name.lower() not in public:
        close = difflib.get_close_matches(name.lower(), public, n=1)
        hint = f" Did you mean '{public[close[0]]}'?" if close else ""
        raise UnknownNameError(f"{module.__name__} has no {what} '{name}'.{hint}")
    return getattr(module, public[name.lower()])  # type: ignore[no-any-return]
