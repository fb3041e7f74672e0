"""Physics and states that a command names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from phiml.math import Shape

from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..plugins.references import imported


def physics_of(name: str, parameters: dict[str, Any]) -> InvertiblePhysics:
    """
    Returns a registered physics, or what `module:object` is or makes: an instance, its class, or a function.

    Raises:
        UnknownNameError: if there is nothing of that name.
        ParameterError: if the parameters do not fit.
        UnsupportedError: if it is no physics.
    """
    from ..contract.physics import InvertiblePhysics
    from ..descriptions.from_data import construct

    if ":" not in name:
        return construct({"name": name, "parameters": parameters})  # type: ignore[no-any-return]
    found = imported(name)
    if isinstance(found, InvertiblePhysics):
        if parameters:
            raise ParameterError(f"'{name}' is a physics that is made already. Give no parameters, or name its class.")
        return found
    made = _made(name, found, parameters)
    if not isinstance(made, InvertiblePhysics):
        raise UnsupportedError(f"'{name}' makes a {type(made).__name__}. Name an InvertiblePhysics, or what makes one.")
    return made


def _made(name: str, maker: Any, parameters: dict[str, Any]) -> Any:
    if not callable(maker):
        raise UnsupportedError(f"'{name}' is a {type(maker).__name__}. Name an InvertiblePhysics, or what makes one.")
    try:
        inspect.signature(maker).bind(**parameters)
    except TypeError as error:
        raise ParameterError(f"'{name}' takes {inspect.signature(maker)}: {error}.") from error
    return maker(**parameters)


def state_maker(name: str) -> Callable[[Shape, int], Any]:
    """
    Returns what makes sample states of cells and seed: one of `states.STATES`, or a function `module:function`.

    Raises:
        UnknownNameError: if there is no such function.
        ParameterError: if there is no such kind of states.
    """
    from .states import STATES

    if ":" in name:
        make: Callable[[Shape, int], Any] = imported(name)
        return make
    if name not in STATES:
        raise ParameterError(f"--state {name}, but it must be one of {', '.join(STATES)}, or module:function.")
    return STATES[name]
