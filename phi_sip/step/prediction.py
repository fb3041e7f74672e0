"""x = f(y*; θ): the prediction of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phiml import math

from ..contract.physics import InvertiblePhysics
from ..contract.trainable import Predict, Trainable
from ..contract.update import UpdateRequest
from ..states import trees
from ..states.checks import check_finite
from .network import call_network

BAD_SAMPLES = "Nothing was changed. Remove or repair these samples."


def prediction(
    trainable: Trainable, physics: InvertiblePhysics, y_target: Any, predict: Callable[[Any], Any] | None
) -> Predict:
    """
    Returns the function that computes x from y* in the precision of y*: `predict`, or the network followed by
    `physics.constrain`.

    Args:
        trainable: Network and optimizer.
        physics: Process that made the observations.
        y_target: Observations y* on the backend of the network.
        predict: See `sip_update_weights`.
    """
    precision = trees.precision_of(y_target)

    def evaluate() -> Any:
        if predict is not None:
            return trees.cast(predict(y_target), precision)
        x = trees.cast(call_network(trainable.call, y_target), precision)
        with math.precision(precision):
            return physics.constrain(x, y_target)

    return evaluate


def first_prediction(trainable: Trainable, request: UpdateRequest) -> Predict:
    """Returns the prediction for a request that has not been looked at, for networks that make variables by it."""

    def evaluate() -> Any:
        y_target = trees.to_backend(request.y_target, trainable.backend)
        if not trainable.is_traced:
            check_finite("y_target", y_target, BAD_SAMPLES)
        with trainable.backend:
            return prediction(trainable, request.physics, y_target, request.predict)()

    return evaluate
