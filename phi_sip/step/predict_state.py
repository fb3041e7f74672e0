"""The prediction of a network outside of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from phiml import math

from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError
from ..frameworks import framework_for
from ..inputs import resolve_inputs
from ..inversion.observed import InvertedObservation
from ..risk import Guard
from ..states import trees
from ..states.checks import check_finite
from .prediction import check_physics_type, prediction


def predict_state(
    net: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    *,
    inputs: Sequence[str | NetworkInput] | None = None,
    predict: Callable[..., Any] | None = None,
    guard: Guard | None = None,
) -> Any:
    """
    Evaluates a network on observations as it is used for inference, without derivatives:

        x = f(y*; θ)

    Args:
        net: Network, as given to `sip_update_weights`.
        physics: Process that made the observations.
        y_target: Observations y*: `Field`, `Tensor` or tree.
        inputs: As in `sip_update_weights`: what the network was trained with.
        predict: As in `sip_update_weights`.
        guard: Keeps x from being worse than the inverse, see `fit_guard`.

    Returns:
        States x in the precision of y*. `physics.constrain` is imposed, unless `predict` is given.

    Raises:
        NonFiniteError: if y* holds NaN or infinity.
        NetworkOutputError: if the network returns no state.
        ParameterError: if both `inputs` and `predict` are given.
        UnsupportedError: if no plugin knows the network.
    """
    return state_prediction(net, physics, y_target, inputs=inputs, predict=predict, guard=guard)()


def state_prediction(
    net: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    *,
    inputs: Sequence[str | NetworkInput] | None = None,
    predict: Callable[..., Any] | None = None,
    guard: Guard | None = None,
) -> Callable[[], Any]:
    """
    Returns what evaluates a network on some observations, as `predict_state` does, with the weights that it then has.
    What the network is shown is computed once.
    """
    if predict is not None and inputs is not None:
        raise ParameterError("predict_state: inputs has no effect with predict=...: leave out one of them.")
    check_physics_type(physics)
    check_finite("y_target", y_target, "Remove or repair these samples.")
    framework = framework_for(net)

    @contextmanager
    def evaluating() -> Iterator[None]:
        with framework.evaluating(net), framework.backend, math.precision(trees.precision_of(y_target)):
            yield

    with evaluating():
        observed = InvertedObservation(physics, trees.to_backend(y_target, framework.backend))
        compute = prediction(framework.evaluation(net), observed, resolve_inputs(inputs), predict, guard=guard)

    def evaluate() -> Any:
        with evaluating():
            return trees.stop_gradient(compute())

    return evaluate
