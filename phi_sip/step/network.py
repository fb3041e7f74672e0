"""How a network is called on an observation when the user does not say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phi.field import Field
from phiml import math
from phiml.math import Tensor, expand, unpack_dim

from ..errors import NetworkOutputError, ParameterError
from ..states import order, trees

_OUTPUT = "network_output"


def call_network(call: Callable[[Any], Any], y: Any, axes: Sequence[str] = ()) -> Any:
    """
    Evaluates a network that maps observations to states of the same dims.

    Batch and dual dims of y go into the batch, channel dims into the channels of the network, as with PhiFlow's
    `native_call`. The network sees all of them in the order of their names, x before y, and so the components of a
    channel dim that names them: equal observations give equal predictions, however they are stored.

    Args:
        call: Network, taking and returning one native tensor; it converts to the type of its weights by itself.
        y: Observation, a `Field` or `Tensor`.
        axes: Spatial dims in the order in which the network takes them. Default: that of their names.

    Returns:
        Prediction x like `y`, stored as `y` is, in its precision.

    Raises:
        ParameterError: if y is a tree, for which there is no one way.
        NetworkOutputError: if the network's output has another shape than its input.
    """
    if isinstance(y, Field):
        return y.with_values(call_network(call, y.values, axes))
    if not isinstance(y, Tensor):
        raise ParameterError(
            f"y_target is {trees.describe(y)}: how the network is called on it is not known. "
            f"Pass predict=lambda y: ..., which returns x."
        )
    if len(trees.leaves(y)) > 1:
        raise ParameterError(
            f"y_target is {trees.describe(y)}: its components have different sizes, and a network takes one array. "
            f"Pass predict=lambda y: ..., which resamples y, e.g. y.at_centers(), and returns x."
        )
    seen = order.in_canonical_order(y, axes)
    channels = seen.shape.channel

    def checked(native: Any) -> Any:
        output = call(native)
        if getattr(output, "shape", None) is None or tuple(output.shape) != tuple(native.shape):
            found = tuple(output.shape) if hasattr(output, "shape") else type(output).__name__
            raise NetworkOutputError(
                f"The network returned {found} for an observation of {tuple(native.shape)}. It must return a state "
                f"of the same shape: {max(1, channels.volume)} channel(s) in and out at the same resolution. "
                f"If states and observations differ in shape, pass predict=lambda y: ..., which returns x."
            )
        return output

    with math.precision(trees.precision_of(y)):
        values = math.native_call(checked, math.to_float(seen), channel_dim=_OUTPUT)
        if _OUTPUT in values.shape:
            values = unpack_dim(values, _OUTPUT, channels)
        elif channels:
            values = expand(values, channels)
    return order.in_order_of(values, y.shape)
