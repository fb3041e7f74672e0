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
from ..states.checks import check_finite
from .prediction import check_physics_type, prediction


def start_from_estimate(
    net: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    *,
    inputs: Sequence[str | NetworkInput] = ("y", "estimate"),
) -> None:
    """
    Lets a network begin with the estimate of the inverse, by weights of 0 in its last layer:

        x = x̂ + net(y*, x̂; θ) = x̂

    What the last layer has learned is lost: it is meant for networks that are new.

    Args:
        net: Network, as given to `sip_update_weights`. It is changed.
        physics: Process that made the observations.
        y_target: Some observations y*; a few are enough.
        inputs: As in `sip_update_weights`, with an estimate.

    Raises:
        ParameterError: if `inputs` has no estimate.
        UnsupportedError: if the network does not end with a linear layer. Nothing was changed.
    """
    shown = resolve_inputs(inputs)
    if not any(quantity.is_estimate for quantity in shown):
        raise ParameterError(f"start_from_estimate: inputs = {inputs!r} has no estimate. Add 'estimate'.")
    check_physics_type(physics)
    check_finite("y_target", y_target, "Remove or repair these samples.")
    framework = framework_for(net)
    with framework.backend, math.precision(trees.precision_of(y_target)):
        observed = InvertedObservation(physics, trees.to_backend(y_target, framework.backend))
        _silence(framework, net, observed, shown)


def _silence(framework: TrainingFramework, net: Any, observed: Observed, inputs: Sequence[NetworkInput]) -> None:
    """Sets kernel and bias of the last layer to 0."""
    _output(framework.evaluation(net), observed, inputs)  # some networks make their weights when they are called
    weights = framework.weights(net)

    def output(values: Mapping[int, float]) -> np.ndarray:
        changed = [np.full_like(w, values[i]) if i in values else w for i, w in enumerate(weights)]
        framework.set_weights(net, changed)
        return _output(framework.evaluation(net), observed, inputs)

    last = None
    try:
        last = _last_layer(weights, output)
    finally:
        framework.set_weights(net, [np.zeros_like(w) if last and i in last else w for i, w in enumerate(weights)])
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
    only = (len(weights) - 1,)  # a last layer without a bias
    if weights and np.all(output({only[0]: 0.0}) == 0):
        return only
    for kernel, bias in layers:
        once, twice = (output({kernel: 0.0, bias: value}) for value in (1.0, 2.0))
        if np.all(once != 0) and np.all(twice == 2 * once):
            return kernel, bias
    return None


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
