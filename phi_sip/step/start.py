"""Where the training of a network begins that adds to the estimate of the inverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from phiml import math
from phiml.backend import choose_backend

from ..contract.framework import TrainingFramework
from ..contract.inputs import NetworkInput, Observed
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..frameworks import framework_for
from ..inputs import resolve_inputs
from ..inversion.observed import InvertedObservation
from ..states import trees
from .prediction import prediction

SLACK = 0.01  # relative, of a squared error: a network that is worse by more has learned nothing yet


def start_from_estimate(
    net: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    *,
    inputs: Sequence[str | NetworkInput] = ("y", "estimate"),
) -> bool:
    """
    Makes a network that has learned nothing yet begin with the estimate of the inverse, by weights of 0 in its last
    layer:

        x = x̂ + net(y*, x̂; θ) = x̂

    A network whose squared error is at most 1 % larger than that of the inverse stays as it is. To tell, observations
    are simulated from the estimates of the given ones, so that the states are known.

    Args:
        net: Network, as given to `sip_update_weights`. It is changed.
        physics: Process that made the observations.
        y_target: Typical observations y*.
        inputs: As in `sip_update_weights`, with an estimate.

    Returns:
        Whether the last layer was set to 0.

    Raises:
        ParameterError: if `inputs` has no estimate.
        UnsupportedError: if the network does not end with a linear layer. Nothing was changed.
    """
    shown = resolve_inputs(inputs)
    if not any(quantity.is_estimate for quantity in shown):
        raise ParameterError(f"start_from_estimate: inputs = {inputs!r} has no estimate. Add 'estimate'.")
    framework = framework_for(net)
    with framework.backend, math.precision(trees.precision_of(y_target)):
        first = InvertedObservation(physics, trees.to_backend(y_target, framework.backend))
        truth = physics.admissible(first.inverted().x_target)
        simulated = InvertedObservation(physics, trees.stop_gradient(physics.forward(truth)))
        answer, estimate = _answers(framework, net, simulated, shown)
        if _error(answer, truth) <= (1 + SLACK) * _error(estimate, truth):
            return False
        _silence(framework, net, simulated, shown)
    return True


def _answers(
    framework: TrainingFramework, net: Any, observed: Observed, inputs: Sequence[NetworkInput]
) -> tuple[Any, Any]:
    estimate = next(quantity.of(observed) for quantity in inputs if quantity.is_estimate)
    return prediction(framework.evaluation(net), observed, inputs)(), estimate


def _error(x: Any, truth: Any) -> float:
    loss = trees.l2_loss(trees.subtract(x, truth))
    return float(math.sum(loss, loss.shape))


def _silence(framework: TrainingFramework, net: Any, observed: Observed, inputs: Sequence[NetworkInput]) -> None:
    """Sets kernel and bias of the last layer to 0. It is the layer whose bias the network returns as it is."""
    weights = framework.weights(net)

    def is_constant(values: Mapping[int, float], output: float) -> bool:
        changed = [np.full_like(w, values[i]) if i in values else w for i, w in enumerate(weights)]
        framework.set_weights(net, changed)
        return _returns(framework.evaluation(net), output, observed, inputs)

    found = False
    try:
        for kernel, bias in _layers(weights):
            if is_constant({kernel: 0.0, bias: 1.0}, 1.0):
                found = is_constant({kernel: 0.0, bias: 0.0}, 0.0)
                break
        else:
            found = is_constant({len(weights) - 1: 0.0}, 0.0)  # a last layer without a bias
    finally:
        if not found:
            framework.set_weights(net, weights)
    if not found:
        raise UnsupportedError(
            f"The last layer of the network, a {type(net).__name__}, is not known, so it cannot begin with the "
            f"estimate of the inverse. Let it end with a linear layer, such as a convolution with a bias, without an "
            f"activation or normalization after it."
        )


def _layers(weights: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Yields the places of all kernels and biases that may be those of one layer, from the end."""
    for i in range(len(weights) - 2, -1, -1):
        for kernel, bias in ((i, i + 1), (i + 1, i)):
            if weights[kernel].ndim > 1 and weights[bias].size in weights[kernel].shape:
                yield kernel, bias


def _returns(call: Callable[[Any], Any], value: float, observed: Observed, inputs: Sequence[NetworkInput]) -> bool:
    """Tells whether a network returns this number everywhere."""
    same = []

    def recorded(native: Any) -> Any:
        output = call(native)
        same.append(bool(np.all(choose_backend(output).numpy(output) == value)))
        return output

    prediction(recorded, observed, inputs)()
    return all(same)
