"""JAX with optax."""

from __future__ import annotations

import inspect
from typing import Any

from ...experiment.specification import Optimizer
from ..lookup import made


def activate() -> None:
    from phi.jax import JAX
    from phiml.backend import set_global_default_backend

    set_global_default_backend(JAX)


def seed(seed: int) -> None:
    from phiml import math

    math.seed(seed % 2**32)


def is_network(net: Any) -> bool:
    return not callable(getattr(net, "parameters", len))  # a tree


def optimizer(net: Any, spec: Optimizer) -> tuple[Any, Any]:
    import optax

    from .optax import OptaxOptimizer

    rate: Any = spec.learning_rate
    if spec.schedule is not None:
        rate = made("schedule", optax, _makes_schedules, spec.schedule.name, {}, spec.schedule.arguments)
    given = {"learning_rate": rate}
    return OptaxOptimizer(net, made("optimizer", optax, _makes_optimizers, spec.name, given, spec.arguments)), None


def _makes_optimizers(member: Any) -> bool:
    """Whether this is a function of optax that takes a learning rate."""
    return _is_of_optax(member) and "learning_rate" in inspect.signature(member).parameters


def _makes_schedules(member: Any) -> bool:
    """Whether this is a function of optax that says that it returns a schedule."""
    import optax

    if not _is_of_optax(member):
        return False
    returned = inspect.signature(member).return_annotation
    return bool(returned == optax.Schedule) or str(returned).endswith("Schedule")


def _is_of_optax(member: Any) -> bool:
    return inspect.isfunction(member) and member.__module__.partition(".")[0] == "optax"
