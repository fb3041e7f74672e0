"""JAX with optax."""

from __future__ import annotations

from typing import Any

from ..specification import Optimizer
from .lookup import made


def activate() -> None:
    from phi.jax import JAX
    from phiml.backend import set_global_default_backend

    set_global_default_backend(JAX)


def seed(seed: int) -> None:
    from phiml import math

    math.seed(seed % 2**32)


def optimizer(net: Any, spec: Optimizer) -> tuple[Any, Any]:
    import optax

    from ...trainers.optax import OptaxOptimizer

    rate: Any = spec.learning_rate
    if spec.schedule is not None:
        rate = made("schedule", optax, spec.schedule.name, spec.schedule.arguments)
    return OptaxOptimizer(net, made("optimizer", optax, spec.name, {"learning_rate": rate, **spec.arguments})), None
