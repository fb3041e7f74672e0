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
    """Sets kernel and bias of the last layer to 0."""
    weights = framework.weights(net)

    def output(values: Mapping[int, float]) -> np.ndarray:
        changed = [np.full_like(w, values[i]) if i in values else w for i, w in enumerate(weights)]
        framework.set_weights(net, changed)
        return _output(framework.evaluation(net), observed, inputs)

    last = None
    try:
        last = _last_layer(weights, output)
    finally:
        framework.set_weights(net, [0 * w if last and i in last else w for i, w in enumerate(weights)])
    if last is None:
        raise UnsupportedError(
            f"The last layer of the network, a {type(net).__name__}, is not known, so it cannot begin with the "
            f"estimate of the inverse. Let it end with a linear layer, such as a convolution with a bias, without an "
            f"activation or normalization after it."
        )


def _last_layer(
    weights: Sequence[np.ndarray], output: Callable[[Mapping[int, float]], np.ndarray]
) -> tuple[int, ...] | None:
    """
    Returns the places of the weights of the layer that decides what the network returns: its bias, or the bias in other
    units, where its kernel is 0.
    """
    layers = list(_layers(weights))
    for kernel, bias in layers:
        if np.all(output({kernel: 0.0, bias: 1.0}) == 1):
            return kernel, bias
    for kernel, bias in layers:
        once, twice = (output({kernel: 0.0, bias: value}) for value in (1.0, 2.0))
        if np.all(once != 0) and np.all(twice == 2 * once):
            return kernel, bias
    only = (len(weights) - 1,)  # a last layer without a bias
    return only if np.all(output({only[0]: 0.0}) == 0) else None


def _layers(weights: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Yields the places of all kernels and biases that may be those of one layer, from the end."""
    for i in range(len(weights) - 2, -1, -1):
        for kernel, bias in ((i, i + 1), (i + 1, i)):
            if weights[kernel].ndim > 1 and weights[bias].size in weights[kernel].shape:
                yield kernel, bias


def _output(call: Callable[[Any], Any], observed: Observed, inputs: Sequence[NetworkInput]) -> np.ndarray:
    """Returns what the network itself returns, without the estimate."""
    found: list[np.ndarray] = []

    def recorded(native: Any) -> Any:
        result = call(native)
        found.append(np.asarray(choose_backend(result).numpy(result)))
        return result

    prediction(recorded, observed, inputs)()
    return found[0]
