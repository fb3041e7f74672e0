"""TensorFlow with Keras."""

from __future__ import annotations

from typing import Any

from ...experiment.specification import Optimizer
from ..lookup import derived_from, made


def activate() -> None:
    from phi.tf import TENSORFLOW
    from phiml.backend import set_global_default_backend

    set_global_default_backend(TENSORFLOW)


def seed(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed % 2**32)


def is_network(net: Any) -> bool:
    return hasattr(net, "trainable_variables")


def optimizer(net: Any, spec: Optimizer) -> tuple[Any, Any]:
    import keras

    rate: Any = spec.learning_rate
    if spec.schedule is not None:
        schedules = keras.optimizers.schedules
        is_one = derived_from(schedules.LearningRateSchedule)
        rate = made("schedule", schedules, is_one, spec.schedule.name, {}, spec.schedule.arguments)
    is_one = derived_from(keras.optimizers.Optimizer)
    return made("optimizer", keras.optimizers, is_one, spec.name, {"learning_rate": rate}, spec.arguments), None
