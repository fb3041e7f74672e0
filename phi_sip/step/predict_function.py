"""How `predict`, which a user gives in place of the network, is called: by the observation, or by its physics too."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..contract.inputs import Observed
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError

PHYSICS = "physics"
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
REMEDY = "Give predict(y), which returns x, or predict(y, physics)."

Call = Callable[[Callable[..., Any], Any, Any], Any]


def check_predict(predict: Any) -> None:
    """
    Checks that a function can be called as `predict`.

    Raises:
        UnsupportedError: if it cannot be called.
        ParameterError: if it takes other arguments than y*, or y* and the physics.
    """
    if predict is not None:
        _way_of(predict)


def predicted_by(predict: Callable[..., Any], observed: Observed) -> Any:
    """
    Computes x by `predict(y)`, or by `predict(y, physics)` where it has a parameter named `physics`, or needs a second
    one. A second parameter of another name keeps its default, and one named `physics` keeps a physics that is its
    default, as in `functools.partial(predict, physics=mine)`.

    Args:
        predict: See `sip_update_weights`.
        observed: The observations, and their physics.

    Raises:
        UnsupportedError, ParameterError: see `check_predict`.
    """
    return _way_of(predict)(predict, observed.y_target, observed.physics)


def _way_of(predict: Any) -> Call:
    if not callable(predict):
        raise UnsupportedError(f"predict is a {type(predict).__name__}, which cannot be called. {REMEDY}")
    try:
        signature = inspect.signature(predict)
    except (TypeError, ValueError):  # some functions in C do not tell
        return _of_observation
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].name == PHYSICS:
        raise ParameterError(f"predict{signature} takes the physics first, but y* comes first. {REMEDY}")
    if _is_physics_by_place(parameters):
        way = _by_place
    elif _is_named(signature.parameters.get(PHYSICS)):
        way = _by_name
    else:
        way = _of_observation
    try:
        way(signature.bind, None, None)
    except TypeError as error:
        raise ParameterError(f"predict{signature} takes other arguments than y*: {error}. {REMEDY}") from error
    return way


def _is_physics_by_place(parameters: list[inspect.Parameter]) -> bool:
    """Tells whether the second parameter is the physics: it has this name, or must be given."""
    if len(parameters) < 2 or parameters[1].kind not in _BY_PLACE:
        return False
    second = parameters[1]
    return second.default is inspect.Parameter.empty or (second.name == PHYSICS and not _is_bound(second))


def _is_named(parameter: inspect.Parameter | None) -> bool:
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return parameter is not None and parameter.kind in named and not _is_bound(parameter)


def _is_bound(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.default, InvertiblePhysics)


def _of_observation(predict: Callable[..., Any], y: Any, physics: Any) -> Any:
    return predict(y)


def _by_place(predict: Callable[..., Any], y: Any, physics: Any) -> Any:
    return predict(y, physics)


def _by_name(predict: Callable[..., Any], y: Any, physics: Any) -> Any:
    return predict(y, physics=physics)
