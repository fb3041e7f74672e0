"""x = f(y*; θ): the prediction of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phiml import math

from ..contract.inputs import NetworkInput, Observed
from ..contract.physics import InvertiblePhysics
from ..contract.trainable import Predict, Trainable
from ..contract.update import UpdateRequest
from ..errors import UnsupportedError
from ..inversion.observed import InvertedObservation
from ..risk import Guard
from ..states import trees
from ..states.checks import check_finite
from .network import state_shown
from .predict_function import check_predict, predicted_by

BAD_SAMPLES = "Nothing was changed. Remove or repair these samples."


def check_physics_type(physics: Any) -> None:
    """Raises `UnsupportedError` if something is no physics."""
    if not isinstance(physics, InvertiblePhysics):
        raise UnsupportedError(f"physics is a {type(physics).__name__}. Give an object such as HeatEquation(1.0, 8.0).")


def prediction(
    call: Callable[[Any], Any],
    observed: Observed,
    inputs: Sequence[NetworkInput] = (),
    predict: Callable[..., Any] | None = None,
    axes: Sequence[str] = (),
    guard: Guard | None = None,
) -> Predict:
    """
    Returns the function that computes x from y* in the precision of y*: `predict`, or the network, followed by
    `physics.constrain`, and by the guard, if there is one,

        x = net(y*; θ)   or   x = x̂ + net(y*, x̂, …; θ),   x̂ + g (x − x̂)

    What the network is shown is computed here, and no derivative is taken through it.

    Args:
        call: The network as a function of one native tensor.
        observed: Observation y*, on the backend of the network.
        inputs: What the network is shown; nothing: the observation.
        predict: See `sip_update_weights`.
        axes: See `state_shown`.
        guard: See `fit_guard`.
    """
    check_predict(predict)
    y_target, physics = observed.y_target, observed.physics
    precision = trees.precision_of(y_target)
    with math.precision(precision):
        seen = shown_to_network(observed, inputs)
        estimate = next((state for quantity, state in zip(inputs, seen, strict=True) if quantity.is_estimate), None)
        like = estimate if estimate is not None else physics.initial_state(y_target) if inputs else y_target

    def channels() -> list[str]:
        pairs = zip(inputs, seen, strict=True)
        return [name for quantity, state in pairs for name in quantity.channels(observed, state)]

    def predicted() -> Any:
        if predict is not None:
            return trees.cast(predicted_by(predict, observed), precision)
        x = trees.cast(state_shown(call, seen or [y_target], like, axes, channels), precision)
        with math.precision(precision):
            if estimate is not None:
                x = trees.add(estimate, x)
            return physics.constrain(x, y_target)

    if guard is None:
        return predicted
    alone = trees.stop_gradient(observed.inverted().x_target)
    return lambda: guard.guarded(predicted(), alone)


def shown_to_network(observed: Observed, inputs: Sequence[NetworkInput]) -> Sequence[Any]:
    """Returns what a network is shown of an observation, in its precision; nothing if it is the observation itself."""
    if observed.seen:
        return observed.seen
    precision = trees.precision_of(observed.y_target)
    with math.precision(precision):
        return [trees.cast(trees.stop_gradient(quantity.of(observed)), precision) for quantity in inputs]


def first_prediction(trainable: Trainable, request: UpdateRequest) -> Predict:
    """Returns the prediction for a request that has not been looked at, for networks that make variables by it."""

    def evaluate() -> Any:
        y_target = trees.to_backend(request.y_target, trainable.backend)
        if not trainable.is_traced:
            check_finite("y_target", y_target, BAD_SAMPLES)
        with trainable.backend:
            observed = InvertedObservation(request.physics, y_target)
            return prediction(trainable.call, observed, request.inputs, request.predict)()

    return evaluate
