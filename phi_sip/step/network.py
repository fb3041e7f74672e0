"""How a network is called when the user does not say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phi.field import Field
from phiml import math
from phiml.backend import choose_backend
from phiml.math import Tensor, channel, expand, pack_dims, unpack_dim

from ..errors import GridMismatchError, NetworkOutputError, ParameterError
from ..states import order, trees

_INPUT, _OUTPUT = "_network_input", "network_output"


def call_network(call: Callable[[Any], Any], y: Any, axes: Sequence[str] = ()) -> Any:
    """Evaluates a network that maps observations to states of the same dims, see `state_shown`."""
    return state_shown(call, [y], y, axes)


def state_shown(
    call: Callable[[Any], Any],
    seen: Sequence[Any],
    like: Any,
    axes: Sequence[str] = (),
    named: Callable[[], Sequence[str]] = tuple,
) -> Any:
    """
    Evaluates a network that maps quantities on the cells of a state to a state.

    Batch and dual dims go into the batch, the channels of all quantities one after the other into the channels of the
    network, as with PhiFlow's `native_call`. The network sees all dims in the order of their names, x before y, and so
    the components of a channel dim that names them: equal observations give equal predictions, however they are stored.

    Args:
        call: Network, taking and returning one native tensor; it converts to the type of its weights by itself.
        seen: What the network is shown, each a `Field` or `Tensor`.
        like: State whose channels and storage the answer has.
        axes: Spatial dims in the order in which the network takes them. Default: that of their names.
        named: Says what the channels that the network is given are, for messages.

    Returns:
        State like `like`, in the precision of what is shown first.

    Raises:
        ParameterError: if something is a tree, or values at points, for which there is no one way.
        GridMismatchError: if two quantities have different cells.
        NetworkOutputError: if the network's output has another shape.
    """
    if isinstance(like, Field):
        return like.with_values(state_shown(call, seen, like.values, axes, named))
    shown = [order.in_canonical_order(_array(quantity), axes) for quantity in seen]
    channels = order.in_canonical_order(_array(like), axes).shape.channel
    stacked = shown[0] if len(shown) == 1 else _stacked(shown)
    count = max(1, channels.volume)

    def checked(native: Any) -> Any:
        try:
            output = call(native)
        except Exception as error:
            if given := _listed(named()):
                error.__notes__ = [*getattr(error, "__notes__", []), f"The network was given the channels {given}."]
            raise
        expected = _with_channels(tuple(native.shape), count, choose_backend(native).prefers_channels_last())
        if getattr(output, "shape", None) is None or tuple(output.shape) != expected:
            found = tuple(output.shape) if hasattr(output, "shape") else type(output).__name__
            given, listed = max(1, stacked.shape.channel.volume), _listed(named())
            ways = f"{given} channel(s) in and {'out' if given == count else f'{count} out'}"
            meaning = listed and f" The channels in are {listed}."
            raise NetworkOutputError(
                f"The network returned {found} for {tuple(native.shape)}. It must return a state, {expected}: {ways} "
                f"at the same resolution.{meaning} If states and observations differ in shape, pass "
                f"predict=lambda y: ..., which returns x."
            )
        return output

    with math.precision(trees.precision_of(stacked)):
        values = math.native_call(checked, math.to_float(stacked), channel_dim=_OUTPUT)
        if _OUTPUT in values.shape:
            values = unpack_dim(values, _OUTPUT, channels)
        elif channels:
            values = expand(values, channels)
    return order.in_order_of(values, like.shape)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{number}: {name}" for number, name in enumerate(names, 1))


def _array(quantity: Any) -> Tensor:
    """Returns the values of something that a network is shown, which must be one array."""
    values = quantity.values if isinstance(quantity, Field) else quantity
    if not isinstance(values, Tensor):
        raise ParameterError(
            f"The network would be shown {trees.describe(quantity)}: how it is called on that is not known. Pass "
            f"predict=lambda y: ..., which returns x."
        )
    if values.shape.instance:
        raise ParameterError(
            f"The network would be shown {trees.describe(quantity)}: values at points ({values.shape.instance}), which "
            f"are no picture. Pass inputs=('estimate',): the answer of the inverse, to which the network adds; or "
            f"predict=lambda y: ..., which returns x."
        )
    if len(trees.leaves(values)) > 1:
        raise ParameterError(
            f"The network would be shown {trees.describe(quantity)}: its components have different sizes, and a "
            f"network takes one array. Pass predict=lambda y: ..., which resamples y, e.g. y.at_centers(), and "
            f"returns x."
        )
    return values


def _stacked(shown: Sequence[Tensor]) -> Tensor:
    """Returns all quantities as the channels of one tensor."""
    cells = shown[0].shape.spatial
    for tensor in shown[1:]:
        if tensor.shape.spatial != cells:
            raise GridMismatchError(
                f"The network would be shown quantities of the cells {cells} and {tensor.shape.spatial}. Leave one out "
                f"of inputs; an observation with other cells than the state cannot be shown as it is."
            )
    batches = math.merge_shapes(*(tensor.shape.non_channel for tensor in shown))
    return math.concat([_as_channels(expand(tensor, batches)) for tensor in shown], _INPUT)


def _as_channels(tensor: Tensor) -> Tensor:
    """Returns a tensor with all channels along one dim; one that has none gets one."""
    if not tensor.shape.channel:
        return expand(tensor, channel(**{_INPUT: 1}))
    return pack_dims(tensor, channel, channel(_INPUT))


def _with_channels(shape: tuple[int, ...], count: int, channels_last: bool) -> tuple[int, ...]:
    return (*shape[:-1], count) if channels_last else (shape[0], count, *shape[2:])
