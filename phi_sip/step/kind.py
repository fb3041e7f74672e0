"""What a computation depends on apart from the values of its tensors."""

from __future__ import annotations

from collections.abc import Container, Hashable
from typing import Any

from phiml import math

from ..compilation import keys
from ..contract.trainable import CompilingTrainable, Trainable
from ..contract.update import UpdateRequest
from ..inversion.default import runs_on_host
from ..plugins.manager import get_plugin_manager
from ..states import trees
from .cache import Kind
from .tensors import PARAMETERS, STATES


def kind_of(
    computation: Hashable,
    trainable: CompilingTrainable,
    request: UpdateRequest,
    logs: Container[int],
    *,
    constants: bool = True,
) -> Kind:
    """
    Returns the key of a computation: all that it depends on but the tensors of `replace_tensors` and the variables of
    the trainable.

    Args:
        computation: What is computed.
        trainable: Network and optimizer.
        request: What is asked for.
        logs: See `keys.of_value`.
        constants: Whether the values of tensors count by which a physics decides how to compute.

    Raises:
        NoKeyError: if it depends on something whose state cannot be compared.
    """
    opaque = opaque_in(trainable)
    states = tuple(keys.of_state(getattr(request, name)) for name in STATES)
    others = (
        computation,
        math.get_precision(),
        trainable.signature(),
        *(
            keys.of_parameters(getattr(request, name), opaque, logs, closures=True, constants=constants)
            for name in PARAMETERS
        ),
        keys.of_value((request.predict, [plugin.function for plugin in inverting_plugins()]), opaque, logs),
        request.micro_batches,
        request.clip_norm,
    )
    return (*states, keys.of_tensors([math.wrap(request.step_size)])), others


def sizes_of(request: UpdateRequest) -> Hashable:
    """Returns what tells the sizes of the data of two updates apart."""
    states = (getattr(request, name) for name in STATES)
    leaves = [leaf for tree in states if tree is not None for leaf in trees.leaves(tree)]
    return keys.of_tensors([*leaves, math.wrap(request.step_size)])


def code_in(request: UpdateRequest) -> Any:
    """Returns all that may hold code and state of the user."""
    return request.physics, request.solver, request.predict, request.inputs, request.targets


def opaque_in(trainable: Trainable) -> tuple[Any, Any]:
    """Returns what stands for itself in a key, whatever state it has."""
    return trainable.net, trainable.optimizer


def may_depend_on_more(request: UpdateRequest) -> bool:
    """Tells whether code takes part that may depend on more than its arguments, or must run every time."""
    parts = (request.targets, *request.inputs)
    on_host = any(part is not None and part.on_host for part in parts) or runs_on_host(request.physics, request.solver)
    return request.predict is not None or len(inverting_plugins()) > 1 or on_host


def inverting_plugins() -> list[Any]:
    """Returns the implementations of `sip_inverse`."""
    return list(get_plugin_manager().hook.sip_inverse.get_hookimpls())
