"""TensorFlow with Keras."""

from __future__ import annotations

from typing import Any

from ..specification import Optimizer
from .lookup import made


def activate() -> None:
    from phi.tf import TENSORFLOW
    from phiml.backend import set_global_default_backend

    set_global_default_backend(TENSORFLOW)


def seed(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed % 2**32)


def optimizer(net: Any, spec: Optimizer) -> tuple[Any, Any]:
    import keras

    rate: Any = spec.learning_rate
    if spec.schedule is not None:
        rate = made("schedule", keras.optimizers.schedules, spec.schedule.name, spec.schedule.arguments)
    return made("optimizer", keras.optimizers, spec.name, {"learning_rate": rate, **spec.arguments}), None
