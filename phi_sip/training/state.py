"""Finds what saves, restores and evaluates a network: the plugin of its framework."""

from __future__ import annotations

from typing import Any

from ..contract.training_state import TrainingState
from ..errors import UnsupportedError
from ..plugins.manager import get_plugin_manager


def training_state(net: Any, optimizer: Any, schedule: Any = None) -> TrainingState:
    """
    Returns what can save, restore and evaluate a network, from the plugin of its framework.

    Raises:
        UnsupportedError: if there is none.
    """
    state: TrainingState | None = get_plugin_manager().first_result(
        "sip_training_state", net=net, optimizer=optimizer, schedule=schedule
    )
    if state is None:
        raise UnsupportedError(
            f"No plugin can save a {type(net).__module__}.{type(net).__qualname__}. Use a Keras model, a "
            f"torch.nn.Module or a JAX network of phiml.nn, or register a plugin that implements `sip_training_state`."
        )
    return state
