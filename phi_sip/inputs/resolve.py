"""Inputs by name."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.inputs import NetworkInput
from ..errors import ParameterError, UnsupportedError
from ..plugins.registry import get_input


def resolve_inputs(inputs: Sequence[str | NetworkInput] | None) -> tuple[NetworkInput, ...]:
    """
    Returns the inputs of a network as objects; none of them if the network is shown the observation as it is.

    Args:
        inputs: Names such as `"y"` and `"estimate"`, and `NetworkInput` objects.

    Raises:
        UnknownNameError: if no plugin provides a name.
        ParameterError: if there is none, or one of them twice.
        UnsupportedError: if something is neither a name nor an object.
    """
    if inputs is None:
        return ()
    if isinstance(inputs, str) or not isinstance(inputs, Sequence) or not inputs:
        raise ParameterError(f"inputs = {inputs!r}. Give a list of what the network is shown: ('y', 'estimate').")
    found = tuple(_resolved(item) for item in inputs)
    if any(item in found[:place] for place, item in enumerate(found)):
        raise ParameterError(f"inputs = {inputs!r} names something twice. Leave one out.")
    return found


def _resolved(item: str | NetworkInput) -> NetworkInput:
    if isinstance(item, str):
        return get_input(item)
    if isinstance(item, NetworkInput):
        return item
    raise UnsupportedError(
        f"inputs holds a {type(item).__name__}. Give names, or objects such as Estimate(iterations=3)."
    )
