"""Optimizers of optax by name, and the seed of JAX."""

from __future__ import annotations

import inspect
from typing import Any

import optax
from phiml import math

from ...contract.framework import Named
from ..lookup import made
from .optax import OptaxOptimizer


def seed(seed: int) -> None:
    """Sets the seed of all random numbers of the framework."""
    math.seed(seed % 2**32)


def optimizer(net: Any, named: Named, rate: float, schedule: Named | None) -> tuple[Any, Any]:
    """Makes an optimizer, and what `train` takes as `schedule`, by name."""
    learning_rate: Any = rate
    if schedule is not None:
        learning_rate = made("schedule", optax, _makes_schedules, schedule.name, {}, schedule.arguments)
    given = {"learning_rate": learning_rate}
    return OptaxOptimizer(net, made("optimizer", optax, _makes_optimizers, named.name, given, named.arguments)), None


def _makes_optimizers(member: Any) -> bool:
    """Tells whether this is a function of optax that takes a learning rate."""
    return _is_of_optax(member) and "learning_rate" in inspect.signature(member).parameters


def _makes_schedules(member: Any) -> bool:
    """Tells whether this is a function of optax that says that it returns a schedule."""
    if not _is_of_optax(member):
        return False
    returned = inspect.signature(member).return_annotation
    return bool(returned == optax.Schedule) or str(returned).endswith("Schedule")


def _is_of_optax(member: Any) -> bool:
    return inspect.isfunction(member) and member.__module__.partition(".")[0] == "optax"
