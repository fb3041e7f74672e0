"""Further numbers of a step, which plugins record."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from numbers import Real

from ..contract.update import SipUpdate
from ..errors import PluginError
from ..plugins.manager import DISABLE_VARIABLE, get_plugin_manager
from ..text.printable import sentence

HOOK = "sip_record"


def further_numbers(update: SipUpdate) -> tuple[dict[str, float], PluginError | None]:
    """
    Asks all plugins what they record of an update, by their hook `sip_record`.

    Args:
        update: What the update did. It is made already, so nothing is raised here.

    Returns:
        The numbers by name, and the error of the first plugin that failed, `None` if none did.
    """
    found: dict[str, float] = {}
    manager = get_plugin_manager()
    for implementation in getattr(manager.hook, HOOK).get_hookimpls():
        try:
            if implementation.wrapper or implementation.hookwrapper:
                raise TypeError("it is a wrapper, but the numbers are collected from all plugins.")
            arguments = (update,)[: len(implementation.argnames)]
            found.update(_checked(implementation.function(*arguments), found))
        except (Exception, SystemExit) as cause:
            name = implementation.plugin_name
            what = f"{type(cause).__name__}: {sentence(cause)}"
            error = PluginError(
                f"Plugin '{name}' of {manager.distribution_of(name)} failed in its hook {HOOK}: "
                f"{what} Update it, or leave it out with {DISABLE_VARIABLE}={name}."
            )
            error.__cause__ = cause
            return found, error
    return found, None


def _checked(answer: object, found: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(answer, Mapping):
        raise TypeError(f"it returned a {type(answer).__name__}, not numbers by name.")
    for name, value in answer.items():
        if not isinstance(name, str) or not name.isidentifier() or name in found:
            raise ValueError(f"{name!r} is no name for a number, or another plugin records it.")
        if not isinstance(value, Real) or not isfinite(value):
            raise ValueError(f"{name} = {value!r} is no finite number.")
    return {name: float(value) for name, value in answer.items()}
