"""Targets by name."""

from __future__ import annotations

from ..contract.target import TrainingTarget
from ..errors import UnsupportedError
from ..plugins.registry import get_target


def resolve_target(targets: str | TrainingTarget | None) -> TrainingTarget | None:
    """
    Returns the target as an object; `None` where it was left out.

    Raises:
        UnknownNameError: if no plugin provides the name.
        UnsupportedError: if it is neither a name nor a `TrainingTarget`.
    """
    if targets is None or isinstance(targets, TrainingTarget):
        return targets
    if isinstance(targets, str):
        return get_target(targets)
    raise UnsupportedError(f"targets is a {type(targets).__name__}. Give a name, or an object such as SelfSimulated().")
