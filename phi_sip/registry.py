"""Physics and solvers by name, collected from all plugins."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pluggy

from .errors import DuplicateNameError, ParameterError, PluginWarning, UnknownNameError
from .physics.base import InvertiblePhysics
from .plugins import DISABLE_VARIABLE, PluginManager, get_plugin_manager
from .solvers.base import InverseSolver

T = TypeVar("T", InvertiblePhysics, InverseSolver)


def get_physics(name: str, /, **parameters: Any) -> InvertiblePhysics:
    """
    Creates a registered physics, e.g. `get_physics("heat", diffusivity=1.0, time=8.0)`.

    Args:
        name: Registered name, see `available_physics()`.
        **parameters: Fields of the physics, passed to its constructor.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        DuplicateNameError: if two plugins provide `name`; the message names both distributions.
        ParameterError: if the parameters do not fit the constructor.
    """
    return _create("physics", name, collect("sip_physics", InvertiblePhysics), parameters)


def get_solver(name: str, /, **options: Any) -> InverseSolver:
    """
    Creates a registered numerical inverse, e.g. `get_solver("gradient")`.

    Args:
        name: Registered name, see `available_solvers()`.
        **options: Passed to the solver's constructor.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        DuplicateNameError: if two plugins provide `name`; the message names both distributions.
        ParameterError: if the options do not fit the constructor.
    """
    return _create("solver", name, collect("sip_solvers", InverseSolver), options)


def available_physics() -> tuple[str, ...]:
    """Names of all registered physics, sorted, without those that two plugins claim."""
    return _names(collect("sip_physics", InvertiblePhysics))


def available_solvers() -> tuple[str, ...]:
    """Names of all registered numerical inverses, sorted, without those that two plugins claim."""
    return _names(collect("sip_solvers", InverseSolver))


@dataclass
class Registered(Generic[T]):
    """What plugins have registered: classes with the plugin that each comes from, and complaints by contested name."""

    classes: dict[str, tuple[type[T], str]] = field(default_factory=dict)
    contested: dict[str, str] = field(default_factory=dict)


def _names(registered: Registered[Any]) -> tuple[str, ...]:
    for complaint in registered.contested.values():
        warnings.warn(complaint, PluginWarning, stacklevel=3)
    return tuple(sorted(set(registered.classes) - set(registered.contested)))


def _create(kind: str, name: str, registered: Registered[T], arguments: dict[str, Any]) -> T:
    if name in registered.contested:
        raise DuplicateNameError(registered.contested[name])
    if name not in registered.classes:
        raise _unknown(kind, name, registered.classes)
    cls, _ = registered.classes[name]
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        raise ParameterError(f"{kind} '{name}' takes {inspect.signature(cls)}: {error}.") from error
    return cls(**arguments)


def _unknown(kind: str, name: str, registered: Iterable[str]) -> UnknownNameError:
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


def collect(hook: str, base: type[T]) -> Registered[T]:
    """All classes that plugins give for `hook`. A plugin that raises or answers wrongly is isolated and named."""
    manager = get_plugin_manager()
    failed = {failure.name for failure in manager.failures}
    registered: Registered[T] = Registered()
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin_name in failed:
            continue
        try:
            classes = _checked(implementation, base)
        except Exception as cause:
            manager.fail(implementation.plugin_name, cause)
            continue
        for cls in classes:
            _add(registered, cls, implementation.plugin_name, manager)
    return registered


def _checked(implementation: pluggy.HookImpl, base: type[T]) -> list[type[T]]:
    if implementation.wrapper or implementation.hookwrapper:
        raise TypeError(f"{implementation.function.__name__} is collected from all plugins and cannot be wrapped")
    classes: list[type[T]] = list(implementation.function())  # type: ignore[call-overload]
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise TypeError(f"expected subclasses of {base.__name__}, got {cls!r}")
        if not isinstance(getattr(cls, "name", None), str) or not cls.name:
            raise TypeError(f"{cls.__module__}.{cls.__qualname__} has no class attribute 'name'")
    return classes


def _add(registered: Registered[T], cls: type[T], plugin: str, manager: PluginManager) -> None:
    first, first_plugin = registered.classes.setdefault(cls.name, (cls, plugin))
    if first is not cls:
        registered.contested[cls.name] = (
            f"'{cls.name}' is registered twice: {first.__module__}.{first.__qualname__} by plugin '{first_plugin}' of "
            f"{manager.distribution_of(first_plugin)}, and {cls.__module__}.{cls.__qualname__} by plugin '{plugin}' "
            f"of {manager.distribution_of(plugin)}. Rename one, uninstall one of the two, or leave one out with "
            f"{DISABLE_VARIABLE}={plugin}."
        )
