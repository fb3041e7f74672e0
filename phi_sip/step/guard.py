"""A guard for a trained network, fitted to observations alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..frameworks import framework_for
from ..inversion.noise import ObservationNoise
from ..inversion.observed import InvertedObservation
from ..risk import Guard, RiskEstimate
from ..states import trees
from ..states.checks import check_finite
from .predict_state import predict_state
from .prediction import check_physics_type


def fit_guard(
    net: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    *,
    inputs: Sequence[str | NetworkInput] | None = None,
    predict: Callable[..., Any] | None = None,
) -> Guard:
    """
    Returns how much of what a network adds to the inverse is to be kept, as observations tell it without true states:

        x = x̂ + g (f(y*) − x̂)

    Where training made the network worse than the inverse, g is near 0; where it is better, 1. Give the guard to
    `predict_state` and `save_inverse`.

    Args:
        net: Trained network, as given to `sip_update_weights`.
        physics: Process that made the observations; it must be linear and have an inverse in closed form.
        y_target: Observations y* that the network was not trained on, some hundred samples.
        inputs: As in `sip_update_weights`: what the network was trained with.
        predict: As in `sip_update_weights`.

    Raises:
        UnsupportedError: if the physics is not linear, or has no inverse to fall back to.
        ParameterError: if σ of the noise is not known, or both `inputs` and `predict` are given.
        NonFiniteError: if y* holds NaN or infinity.
    """
    check_physics_type(physics)
    _check_linear(physics)
    check_finite("y_target", y_target, "Remove or repair these samples.")
    backend = framework_for(net).backend
    with backend:
        estimate = RiskEstimate.of(physics, trees.to_backend(y_target, backend))
    states = [
        predict_state(net, physics, y, inputs=inputs, predict=predict) for y in (estimate.y_target, estimate.probed)
    ]
    return Guard.of(estimate, *states)


def check_guard(physics: InvertiblePhysics, y_target: Any) -> None:
    """
    Looks at whether a guard can be fitted, before there is a network.

    Raises:
        UnsupportedError, ParameterError: as `fit_guard`.
    """
    _check_linear(physics)
    ObservationNoise.white("The guard", InvertedObservation(physics, y_target))


def _check_linear(physics: InvertiblePhysics) -> None:
    if not physics.is_linear or not physics.has_inverse:
        missing = "has no inverse in closed form" if physics.is_linear else "is not linear"
        raise UnsupportedError(
            f"A guard weighs a network against the inverse, but {type(physics).__name__} {missing}. Do without, or "
            f"judge the network by RiskEstimate."
        )
