"""Finds what saves, restores and evaluates a network: its framework."""

from __future__ import annotations

from typing import Any

from ..contract.training_state import TrainingState
from ..frameworks import framework_for


def training_state(net: Any, optimizer: Any, schedule: Any = None) -> TrainingState:
    """
    Returns what saves, restores and evaluates a network.

    Raises:
        UnsupportedError: if no plugin knows the network.
    """
    return framework_for(net).training_state(net, optimizer, schedule)
