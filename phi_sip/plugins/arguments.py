"""What a plugin does not declare, it is not given: arguments that ask for something are then refused, not dropped."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import pluggy

from ..errors import PluginWarning, UnsupportedError

# Values with which an argument of a hook asks for nothing.
ASKS_FOR_NOTHING: Mapping[str, Any] = {
    "predict": None,
    "step_size": 1.0,
    "solver": None,
    "x_true": None,
    "training": None,
    "compile": None,
    "micro_batches": 1,
    "schedule": None,
}
Answer = Callable[[str], None]


def check_arguments(implementation: pluggy.HookImpl, hook: str, arguments: Sequence[str], where: str) -> None:
    """
    Lets an implementation that declares only some arguments of its hook answer only calls in which the others ask for
    nothing.

    Args:
        implementation: Of a hook whose first answer counts. It is changed.
        hook: Name of the hook.
        arguments: Names of all its arguments.
        where: Plugin and distribution, for messages.
    """
    declared, function = implementation.argnames, implementation.function
    missing = [name for name in arguments if name in ASKS_FOR_NOTHING and name not in declared]
    if not missing:
        return

    @functools.wraps(function)
    def answer(*values: Any) -> Any:
        given = dict(zip(arguments, values, strict=True))
        result = function(*(given[name] for name in declared))
        dropped = [name for name in missing if _asks(given[name], ASKS_FOR_NOTHING[name])]
        if result is not None and dropped:
            _refuse(hook, where, dropped)
        return result

    implementation.function, implementation.argnames = answer, tuple(arguments)  # type: ignore[misc]


def _asks(value: Any, nothing: Any) -> bool:
    if nothing is None:
        return value is not None and value is not False
    if isinstance(value, Real):
        return bool(value != nothing)
    return not value.available or bool((value != nothing).any)  # a tensor; PhiML need not be there to load plugins


def _refuse(hook: str, where: str, dropped: Sequence[str]) -> None:
    names = ", ".join(dropped)
    message = (
        f"{where} answered `{hook}`, but it does not declare the argument {names} and knows nothing of it. Leave out "
        f"{names}, block the plugin, or add {names} to the arguments of its implementation and use it there."
    )
    if hook == "sip_update_weights":  # what it did to the weights cannot be undone from here
        warnings.warn(f"{message} The update was made without it.", PluginWarning, stacklevel=2)
    else:
        raise UnsupportedError(message)
