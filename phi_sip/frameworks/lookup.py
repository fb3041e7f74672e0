"""Optimizers and schedules by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ..errors import ParameterError, UnknownNameError
from ..text.printable import sentence

IsOne = Callable[[Any], bool]


def made(
    what: str, module: ModuleType, is_one: IsOne, name: str, given: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Any:
    """
    Makes what `name` of a module makes of arguments.

    Args:
        what: `optimizer` or `schedule`.
        module: Where they are.
        is_one: Whether a member of the module makes one: a file may name nothing else.
        name: Upper and lower case are the same.
        given: Keyword arguments that an experiment says elsewhere, or that it consists of.
        arguments: Further keyword arguments, as the file says them.

    Raises:
        UnknownNameError: if there is no such name.
        ParameterError: if the arguments do not fit.
    """
    make = named(what, module, is_one, name)
    try:
        return make(**given, **arguments)
    except (TypeError, ValueError) as error:
        said = ", ".join(f"{key}{_shown(value)}" for key, value in arguments.items())
        raise ParameterError(f"{what} '{name}' of {module.__name__} does not take {said}: {sentence(error)}") from error


def _shown(value: Any) -> str:
    """Shows what a file can say; of objects, such as parameters of a network, the name alone is shown."""
    return f" = {value!r}" if isinstance(value, (bool, int, float, str, list, tuple, dict)) else ""


def named(what: str, module: ModuleType, is_one: IsOne, name: str) -> Callable[..., Any]:
    """Returns the member of a module that makes one and has this name."""
    members = {key: getattr(module, key) for key in dir(module) if not key.startswith("_")}
    public = {key.lower(): key for key, member in members.items() if is_one(member)}
    if name.lower() not in public:
        close = difflib.get_close_matches(name.lower(), public, n=1)
        hint = f" Did you mean '{public[close[0]]}'?" if close else ""
        raise UnknownNameError(f"{module.__name__} has no {what} '{name}'.{hint}")
    return members[public[name.lower()]]  # type: ignore[no-any-return]


def derived_from(base: type) -> IsOne:
    """Returns the function that tells whether something is a class derived from `base`."""
    return lambda member: isinstance(member, type) and issubclass(member, base) and member is not base
