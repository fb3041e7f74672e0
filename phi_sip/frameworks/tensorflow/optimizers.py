"""Keras optimizers by name, and the seed of TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from ...contract.framework import Named
from ..lookup import derived_from, made


def seed(seed: int) -> None:
    """Sets the seed of all random numbers of the framework."""
    keras.utils.set_random_seed(seed % 2**32)


def optimizer(net: Any, named: Named, rate: float, schedule: Named | None) -> tuple[Any, Any]:
    """Makes an optimizer, and what `train` takes as `schedule`, by name."""
    learning_rate: Any = rate
    if schedule is not None:
        schedules = keras.optimizers.schedules
        is_one = derived_from(schedules.LearningRateSchedule)
        learning_rate = made("schedule", schedules, is_one, schedule.name, {}, schedule.arguments)
    given, is_one = {"learning_rate": learning_rate}, derived_from(keras.optimizers.Optimizer)
    return made("optimizer", keras.optimizers, is_one, named.name, given, named.arguments), None
