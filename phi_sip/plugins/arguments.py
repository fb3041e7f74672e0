"""What a plugin does not declare, it is not given: arguments that ask for something are then refused, not dropped."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import pluggy

from ..errors import PluginError, UnsupportedError

# Values with which an argument of `sip_inverse` asks for nothing.
ASKS_FOR_NOTHING: Mapping[str, Any] = {"step_size": 1.0, "solver": None}
# Arguments that hold what everything else is about.
NEEDED = ("trainable", "request")


def check_arguments(implementation: pluggy.HookImpl, hook: str, arguments: Sequence[str], where: str) -> None:
    """
    Lets an implementation that declares only some arguments of its hook answer only calls in which the others ask for
    nothing.

    Args:
        implementation: Of a hook whose first answer counts. It is changed.
        hook: Name of the hook.
        arguments: Names of all its arguments.
        where: Plugin and distribution, for messages.

    Raises:
        PluginError: if it does not declare an argument that it cannot do without.
    """
    declared, function = implementation.argnames, implementation.function
    needed = [name for name in NEEDED if name in arguments and name not in declared]
    if needed:
        raise PluginError(
            f"{where} implements `{hook}` without the argument {', '.join(needed)}, so it would drop what is asked. "
            f"Declare all of {', '.join(arguments)}."
        )
    missing = [name for name in arguments if name in ASKS_FOR_NOTHING and name not in declared]
    if not missing:
        return

    @functools.wraps(function)
    def answer(*values: Any) -> Any:
        given = dict(zip(arguments, values, strict=True))
        result = function(*(given[name] for name in declared))
        dropped = [name for name in missing if _asks(given[name], ASKS_FOR_NOTHING[name])]
        if result is not None and dropped:
            names = ", ".join(dropped)
            raise UnsupportedError(
                f"{where} answered `{hook}`, but it does not declare the argument {names} and knows nothing of it. "
                f"Leave out {names}, block the plugin, or add {names} to the arguments of its implementation and use "
                f"it there."
            )
        return result

    implementation.function, implementation.argnames = answer, tuple(arguments)  # type: ignore[misc]


def _asks(value: Any, nothing: Any) -> bool:
    if nothing is None:
        return value is not None
    if isinstance(value, Real):
        return bool(value != nothing)
    return not value.available or bool((value != nothing).any)  # a tensor; PhiML need not be there to load plugins
