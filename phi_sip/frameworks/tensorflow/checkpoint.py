"""TensorFlow: `tf.train.Checkpoint` of a Keras model and its optimizer."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

import tensorflow as tf

from ...contract.training_state import Layout, TrainingState
from ...errors import UnsupportedError
from .trainable import TensorFlowTrainable

PREFIX = "state"


class TensorFlowState(TrainingState):
    """
    A Keras model and its optimizer. Learning-rate schedules belong to the optimizer.

    TensorFlow's global random state cannot be read: saving draws a seed from it and begins anew by that, and so does
    restoring.
    """

    framework: ClassVar[str] = "tensorflow"

    def __init__(self, net: Any, optimizer: Any, schedule: Any) -> None:
        if schedule is not None:
            raise UnsupportedError(
                "schedule=... is for PyTorch. Give a Keras schedule to the optimizer: "
                "keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))."
            )
        strategy = getattr(optimizer, "_distribution_strategy", None) or tf.distribute.get_strategy()
        if strategy.num_replicas_in_sync > 1:
            raise UnsupportedError(
                "phi_sip.train runs one replica. Under a tf.distribute strategy write the loop around strategy.run, "
                "as in examples/distributed."
            )
        super().__init__(TensorFlowTrainable(net, optimizer))
        self._given = _settings(optimizer)

    @property
    def learning_rate(self) -> float | None:
        return float(tf.convert_to_tensor(self.optimizer.learning_rate))

    def layout(self) -> Layout:
        return [[list(variable.shape), str(variable.dtype)] for variable in self.net.variables]

    def save(self, folder: Path) -> None:
        seed = int(tf.random.uniform((), 0, 2**31 - 1, tf.int32))
        self._checkpoint(seed).write(str(folder / PREFIX))
        tf.random.set_seed(seed)

    def restore(self, folder: Path) -> None:
        checkpoint = self._checkpoint(0)
        status = checkpoint.read(str(folder / PREFIX))
        status.assert_existing_objects_matched().expect_partial()
        tf.random.set_seed(int(checkpoint.seed))

    def description(self) -> dict[str, Any]:
        return {"optimizer": type(self.optimizer).__name__, "schedule": "none", "settings": dict(self._given)}

    def take_over(self, settings: Collection[str]) -> None:
        """Sets the rate again, a variable that is restored, unless it is a schedule; all else belongs to the object."""
        if "learning_rate" in settings and isinstance(self._given["learning_rate"], float):
            self.optimizer.learning_rate.assign(self._given["learning_rate"])

    def _checkpoint(self, seed: int) -> Any:
        return tf.train.Checkpoint(
            net=self.net,
            optimizer=self.optimizer,
            generator=tf.random.get_global_generator(),
            seed=tf.Variable(seed, dtype=tf.int64),
        )


def _settings(optimizer: Any) -> dict[str, Any]:
    """Returns the configuration of an optimizer by name; schedules as words."""
    config = optimizer.get_config() if hasattr(optimizer, "get_config") else {}
    found = {name: value for name, value in config.items() if name != "name"}
    return {
        name: value if isinstance(value, (bool, int, float, str)) else json.dumps(value, default=str, sort_keys=True)
        for name, value in found.items()
        if value is not None
    }
