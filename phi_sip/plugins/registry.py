"""Physics, solvers, networks and frameworks by name, collected from all plugins."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Iterable
from typing import Any, TypeVar

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import DuplicateNameError, ParameterError, PluginWarning, UnknownNameError
from .collection import Network, Registered, collect
from .manager import get_plugin_manager

T = TypeVar("T")


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
    made: InvertiblePhysics = create("physics", name, collect("sip_physics", InvertiblePhysics), parameters)
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
    made: InverseSolver = create("solver", name, collect("sip_solvers", InverseSolver), options)
    return made


def network_function(name: str) -> Network:
    """
    Returns the registered function that makes a network.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        DuplicateNameError: if two plugins provide `name`; the message names both distributions.
    """
    function: Network = named("network", name, collect("sip_networks", Network))
    return function


def available_physics() -> tuple[str, ...]:
    """Returns the names of all registered physics, sorted, without those that two plugins claim."""
    return names_of(collect("sip_physics", InvertiblePhysics))


def available_solvers() -> tuple[str, ...]:
    """Returns the names of all registered numerical inverses, sorted, without those that two plugins claim."""
    return names_of(collect("sip_solvers", InverseSolver))


def available_networks() -> tuple[str, ...]:
    """Returns the names of all registered networks, sorted, without those that two plugins claim. See `NetworkSpec`."""
    return names_of(collect("sip_networks", Network))


def names_of(registered: Registered[Any]) -> tuple[str, ...]:
    """Returns all names, sorted, without those that two plugins claim, of which a warning tells."""
    for complaint in registered.contested.values():
        warnings.warn(complaint, PluginWarning, stacklevel=3)
    return tuple(sorted(set(registered.classes) - set(registered.contested)))


def create(kind: str, name: str, registered: Registered[type[T]], arguments: dict[str, Any]) -> T:
    """
    Creates an object of a registered class.

    Raises:
        UnknownNameError, DuplicateNameError: see `named`.
        ParameterError: if the arguments do not fit the constructor.
    """
    cls = named(kind, name, registered)
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        raise ParameterError(f"{kind} '{name}' takes {inspect.signature(cls)}: {error}.") from error
    return cls(**arguments)


def named(kind: str, name: str, registered: Registered[T]) -> T:
    """
    Returns what is registered under a name.

    Args:
        kind: What it is called in messages.
        name: Registered name.
        registered: What plugins have registered.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        DuplicateNameError: if two plugins provide `name`; the message names both distributions.
    """
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
