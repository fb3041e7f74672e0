"""Physics, solvers and networks by name, collected from all plugins."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pluggy

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import DuplicateNameError, ParameterError, PluginWarning, UnknownNameError
from .manager import DISABLE_VARIABLE, PluginManager, get_plugin_manager

T = TypeVar("T")
Network = Callable[..., Any]


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
    made: InvertiblePhysics = _create("physics", name, collect("sip_physics", InvertiblePhysics), parameters)
    return made


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
    made: InverseSolver = _create("solver", name, collect("sip_solvers", InverseSolver), options)
    return made


def network_function(name: str) -> Network:
    """
    The registered function that makes a network.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        DuplicateNameError: if two plugins provide `name`; the message names both distributions.
    """
    function: Network = _named("network", name, collect("sip_networks", Network))
    return function


def available_physics() -> tuple[str, ...]:
    """Names of all registered physics, sorted, without those that two plugins claim."""
    return _names(collect("sip_physics", InvertiblePhysics))


def available_solvers() -> tuple[str, ...]:
    """Names of all registered numerical inverses, sorted, without those that two plugins claim."""
    return _names(collect("sip_solvers", InverseSolver))


def available_networks() -> tuple[str, ...]:
    """Names of all registered networks, sorted, without those that two plugins claim. See `NetworkSpec`."""
    return _names(collect("sip_networks", Network))


@dataclass
class Registered(Generic[T]):
    """
    What plugins have registered.

    Attributes:
        classes: By name, what makes it: a class, or the function of a network; and the plugin that it comes from.
        contested: Complaints about names that are registered twice.
    """

    classes: dict[str, tuple[T, str]] = field(default_factory=dict)
    contested: dict[str, str] = field(default_factory=dict)


def _names(registered: Registered[Any]) -> tuple[str, ...]:
    for complaint in registered.contested.values():
        warnings.warn(complaint, PluginWarning, stacklevel=3)
    return tuple(sorted(set(registered.classes) - set(registered.contested)))


def _create(kind: str, name: str, registered: Registered[type[T]], arguments: dict[str, Any]) -> T:
    cls = _named(kind, name, registered)
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        raise ParameterError(f"{kind} '{name}' takes {inspect.signature(cls)}: {error}.") from error
    return cls(**arguments)


def _named(kind: str, name: str, registered: Registered[T]) -> T:
    if name in registered.contested:
        raise DuplicateNameError(registered.contested[name])
    if name not in registered.classes:
        raise _unknown(kind, name, registered.classes)
    return registered.classes[name][0]


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


def collect(hook: str, base: Any) -> Registered[Any]:
    """
    What plugins give for `hook`. A plugin that raises, exits or answers wrongly is isolated and named.

    Args:
        hook: Name of the hook.
        base: Of the classes that it gives; `Network` for one that gives functions by name.
    """
    manager = get_plugin_manager()
    failed = {failure.name for failure in manager.failures}
    checked = _functions if base is Network else _classes
    registered: Registered[Any] = Registered()
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin_name in failed:
            continue
        try:
            found = checked(_answer(implementation), base)
        except (Exception, SystemExit) as cause:
            manager.fail(implementation.plugin_name, cause)
            continue
        for name, item in found:
            _add(registered, name, item, implementation.plugin_name, manager)
    return registered


def _answer(implementation: pluggy.HookImpl) -> Any:
    if implementation.wrapper or implementation.hookwrapper:
        raise TypeError(f"{implementation.function.__name__} is collected from all plugins and cannot be wrapped")
    return implementation.function()


def _classes(answer: Any, base: Any) -> list[tuple[str, Any]]:
    """Classes by the names that they have."""
    classes: list[Any] = list(answer)
    for cls in classes:
        if not _is_class_of(cls, base):
            raise TypeError(f"expected subclasses of {base.__name__}, got {cls!r}")
        if not isinstance(getattr(cls, "name", None), str) or not cls.name:
            raise TypeError(f"{cls.__module__}.{cls.__qualname__} has no class attribute 'name'")
    return [(item.name, item) for item in classes]


def _is_class_of(item: Any, base: type) -> bool:
    return isinstance(item, type) and issubclass(item, base)


def _functions(answer: Any, _: Any) -> list[tuple[str, Any]]:
    """Functions by the names under which they are given."""
    if not isinstance(answer, Mapping):
        raise TypeError(f"expected functions by name, got {answer!r}")
    for name, function in answer.items():
        if not isinstance(name, str) or not name or ":" in name:
            raise TypeError(f"{name!r} is no name: a name is a text without ':'")
        if not callable(function):
            raise TypeError(f"'{name}' is a {type(function).__name__}, not a function")
    return list(answer.items())


def _add(registered: Registered[Any], name: str, item: Any, plugin: str, manager: PluginManager) -> None:
    first, first_plugin = registered.classes.setdefault(name, (item, plugin))
    if first is not item:
        registered.contested[name] = (
            f"'{name}' is registered twice: {place_of(first)} by plugin '{first_plugin}' of "
            f"{manager.distribution_of(first_plugin)}, and {place_of(item)} by plugin '{plugin}' of "
            f"{manager.distribution_of(plugin)}. Rename one, uninstall one of the two, or leave one out with "
            f"{DISABLE_VARIABLE}={plugin}."
        )


def place_of(item: Any) -> str:
    """Where a class or function is defined, as `module:name`."""
    return f"{item.__module__}:{getattr(item, '__qualname__', type(item).__qualname__)}"
