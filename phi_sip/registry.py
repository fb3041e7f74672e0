"""Physics and solvers by name, collected from all plugins."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

import pluggy

from .errors import DuplicateNameError, ParameterError, UnknownNameError
from .physics.base import InvertiblePhysics
from .plugins import DISABLE_VARIABLE, PluginManager, get_plugin_manager
from .solvers.base import InverseSolver

T = TypeVar("T", InvertiblePhysics, InverseSolver)


def get_physics(name: str, **parameters: Any) -> InvertiblePhysics:
    """
    Creates a registered physics, e.g. `get_physics("heat", diffusivity=1.0, time=8.0)`.

    Args:
        name: Registered name, see `available_physics()`.
        **parameters: Fields of the physics, passed to its constructor.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        ParameterError: if the parameters do not fit the constructor.
    """
    return _create("physics", name, _collect("sip_physics", InvertiblePhysics), parameters)


def get_solver(name: str, **options: Any) -> InverseSolver:
    """
    Creates a registered numerical inverse, e.g. `get_solver("gradient")`.

    Args:
        name: Registered name, see `available_solvers()`.
        **options: Passed to the solver's constructor.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        ParameterError: if the options do not fit the constructor.
    """
    return _create("solver", name, _collect("sip_solvers", InverseSolver), options)


def available_physics() -> tuple[str, ...]:
    """Names of all registered physics, sorted."""
    return tuple(sorted(_collect("sip_physics", InvertiblePhysics)))


def available_solvers() -> tuple[str, ...]:
    """Names of all registered numerical inverses, sorted."""
    return tuple(sorted(_collect("sip_solvers", InverseSolver)))


def _create(kind: str, name: str, registered: dict[str, type[T]], arguments: dict[str, Any]) -> T:
    if name not in registered:
        raise _unknown(kind, name, registered)
    try:
        return registered[name](**arguments)
    except TypeError as error:
        raise ParameterError(f"{kind} '{name}' does not take these arguments: {error}") from error


def _unknown(kind: str, name: str, registered: dict[str, type[T]]) -> UnknownNameError:
    close = difflib.get_close_matches(name, registered, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    message = f"No {kind} is named '{name}'.{hint} Registered: {', '.join(sorted(registered)) or 'none'}."
    failures = get_plugin_manager().failures
    if not failures:
        error = UnknownNameError(f"{message} Install the distribution that provides it, or check the spelling.")
    else:
        failed = "; ".join(str(failure) for failure in failures)
        error = UnknownNameError(f"{message} It may belong to a plugin that could not be loaded: {failed}.")
        error.__cause__ = next((f.cause for f in failures if f.name == name), failures[0].cause)
    return error


def _collect(hook: str, base: type[T]) -> dict[str, type[T]]:
    """All classes that plugins give for `hook`. A plugin that raises or answers wrongly is isolated and named."""
    manager = get_plugin_manager()
    failed = {failure.name for failure in manager.failures}
    found: dict[str, tuple[type[T], str]] = {}
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin_name in failed:
            continue
        try:
            classes = _checked(implementation, base)
        except Exception as cause:
            manager.fail(implementation.plugin_name, cause)
            continue
        for cls in classes:
            _add(found, cls, implementation.plugin_name, manager)
    return {name: cls for name, (cls, _) in found.items()}


def _checked(implementation: pluggy.HookImpl, base: type[T]) -> list[type[T]]:
    if implementation.wrapper or implementation.hookwrapper:
        raise TypeError(f"{implementation.function.__name__} is collected from all plugins and cannot be wrapped")
    answer: Callable[[], Any] = implementation.function
    classes = list(answer())
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise TypeError(f"expected subclasses of {base.__name__}, got {cls!r}")
        if not isinstance(getattr(cls, "name", None), str) or not cls.name:
            raise TypeError(f"{cls.__module__}.{cls.__qualname__} has no class attribute 'name'")
    return classes


def _add(found: dict[str, tuple[type[T], str]], cls: type[T], plugin: str, manager: PluginManager) -> None:
    if cls.name in found and found[cls.name][0] is not cls:
        first, first_plugin = found[cls.name]
        raise DuplicateNameError(
            f"'{cls.name}' is registered twice: {first.__module__}.{first.__qualname__} by plugin '{first_plugin}' of "
            f"{manager.distribution_of(first_plugin)}, and {cls.__module__}.{cls.__qualname__} by plugin '{plugin}' "
            f"of {manager.distribution_of(plugin)}. Rename one, or leave one out with {DISABLE_VARIABLE}={plugin}."
        )
    found[cls.name] = (cls, plugin)
