"""Physics, solvers, networks and frameworks by name, collected from all plugins."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.target import TrainingTarget
from ..errors import ParameterError
from .collection import Network, Registered, collect

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


def get_input(name: str, /, **options: Any) -> NetworkInput:
    """
    Creates what a network is shown, e.g. `get_input("estimate", iterations=2)`.

    Args:
        name: Registered name, see `available_inputs()`.
        **options: Passed to its constructor.

    Raises:
        UnknownNameError, DuplicateNameError, ParameterError: as `get_solver`.
    """
    made: NetworkInput = create("input", name, collect("sip_inputs", NetworkInput), options)
    return made


def get_target(name: str, /, **options: Any) -> TrainingTarget:
    """
    Creates what a network is drawn to, e.g. `get_target("self-simulated")`.

    Args:
        name: Registered name, see `available_targets()`.
        **options: Passed to its constructor.

    Raises:
        UnknownNameError, DuplicateNameError, ParameterError: as `get_solver`.
    """
    made: TrainingTarget = create("target", name, collect("sip_targets", TrainingTarget), options)
    return made


def network_function(name: str) -> Network:
    """
    Returns the registered function that makes a network.

    Raises:
        UnknownNameError: if no plugin provides `name`; it is chained to the error of a plugin that failed to load.
        DuplicateNameError: if two plugins provide `name`; the message names both distributions.
    """
    function: Network = collect("sip_networks", Network).named("network", name)
    return function


def available_physics() -> tuple[str, ...]:
    """Returns the names of all registered physics, sorted, without those that two plugins claim."""
    return collect("sip_physics", InvertiblePhysics).names()


def available_solvers() -> tuple[str, ...]:
    """Returns the names of all registered numerical inverses, sorted, without those that two plugins claim."""
    return collect("sip_solvers", InverseSolver).names()


def available_inputs() -> tuple[str, ...]:
    """Returns the names of all registered inputs of networks, sorted, without those that two plugins claim."""
    return collect("sip_inputs", NetworkInput).names()


def available_targets() -> tuple[str, ...]:
    """Returns the names of all registered targets, sorted, without those that two plugins claim."""
    return collect("sip_targets", TrainingTarget).names()


def available_networks() -> tuple[str, ...]:
    """Returns the names of all registered networks, sorted, without those that two plugins claim. See `NetworkSpec`."""
    return collect("sip_networks", Network).names()


def create(kind: str, name: str, registered: Registered[type[T]], arguments: dict[str, Any]) -> T:
    """
    Creates an object of a registered class.

    Raises:
        UnknownNameError, DuplicateNameError: see `Registered.named`.
        ParameterError: if the arguments do not fit the constructor.
    """
    cls = registered.named(kind, name)
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        raise ParameterError(f"{kind} '{name}' takes {inspect.signature(cls)}: {error}.") from error
    return cls(**arguments)
