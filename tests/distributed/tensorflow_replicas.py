"""
Trains all cases with TensorFlow, in a distribution strategy or alone, and saves what it found.

    python tensorflow_replicas.py {mirrored,multi-worker,alone} FOLDER

`multi-worker` reads TF_CONFIG, of which each worker has its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

KIND = sys.argv[1]
tf.config.threading.set_intra_op_parallelism_threads(1)
if KIND == "mirrored":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
elif KIND == "multi-worker":
    STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()
else:
    STRATEGY = tf.distribute.get_strategy()  # that of a program with one worker

import keras
import phi.tf.flow  # noqa: F401 - makes TensorFlow PhiFlow's default, which starts TensorFlow
import pytest
from cases import (
    AS_ONE,
    BAD,
    BATCH_NORM,
    EPSILON,
    LEARNING_RATE,
    STEPS,
    Case,
    field,
    observed,
    whole,
    with_bad_value,
)
from phiml import nn

from phi_sip import UnsupportedError, sip_update_weights

REPLICAS = STRATEGY.num_replicas_in_sync
WORKER = getattr(STRATEGY.cluster_resolver, "task_id", None) or 0


def main(folder: Path) -> None:
    found = {case.name: Training(case).run() for case in AS_ONE}
    if REPLICAS > 1:
        training = Training(BATCH_NORM)
        found[BATCH_NORM.name] = training.run()
        found |= training.meet_bad_data()
    if KIND == "mirrored":
        refuse_without_graph()
    np.savez(folder / f"{WORKER}.npz", **found)


def refuse_without_graph() -> None:
    """An update outside of `strategy.run`, or there but step by step, says where it belongs."""
    training = Training(AS_ONE[0])
    with STRATEGY.scope():
        for step in (training.step, lambda values: STRATEGY.run(training.step, args=(values,))):
            with pytest.raises(UnsupportedError, match="Call sip_update_weights in strategy"):
                step(tf.constant(training.data(0)[0]))


class Training:
    """Network and optimizer of a case, and the step that a user would write."""

    def __init__(self, case: Case) -> None:
        self.case = case
        keras.utils.set_random_seed(0)
        with STRATEGY.scope():
            self.net = nn.u_net(1, 1, levels=1, filters=4, batch_norm=case.batch_norm)
            if case.optimizer == "adam":
                self.optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON)
            else:
                self.optimizer = keras.optimizers.SGD(LEARNING_RATE)
            self.optimizer.build(self.net.trainable_variables)
        self.graph = tf.function(lambda values: STRATEGY.run(self.step, args=(values,)), autograph=False)

    def step(self, values: tf.Tensor) -> tf.Tensor:
        update = sip_update_weights(
            self.net,
            self.optimizer,
            self.case.physics,
            field(values),
            training=True if self.case.batch_norm else None,
            clip_norm=self.case.clip_norm,
        )
        return update.applied.native()

    def update(self, values: list[np.ndarray]) -> bool:
        """One step with the data of each replica. Returns whether all replicas say that it was made."""
        if REPLICAS == 1:
            return bool(self.graph(tf.constant(values[0])))
        mine = values if KIND == "mirrored" else [values[WORKER]]
        given = STRATEGY.experimental_distribute_values_from_function(
            lambda context: tf.constant(mine[context.replica_id_in_sync_group if KIND == "mirrored" else 0])
        )
        applied = {bool(a) for a in STRATEGY.experimental_local_results(self.graph(given))}
        assert len(applied) == 1
        return applied.pop()

    def data(self, step: int) -> list[np.ndarray]:
        physics = self.case.physics
        return [observed(physics, step, r) for r in range(REPLICAS)] if REPLICAS > 1 else [whole(physics, step)]

    def run(self) -> np.ndarray:
        """The weights after training."""
        for step in range(STEPS):
            assert self.update(self.data(step))
        return values(self.net.trainable_variables)

    def meet_bad_data(self) -> dict[str, np.ndarray]:
        """What there is before and after updates that cannot be made on one worker, and after going on."""
        states, applied = [self.everything()], []
        for bad in BAD:
            good, other = self.data(STEPS)
            applied.append(self.update([good, with_bad_value(other, bad)]))
            states.append(self.everything())
        applied.append(self.update(self.data(STEPS + 1)))
        after = values(self.net.trainable_variables)
        return {"kept": np.stack(states, 1), "applied": np.array(applied), "after": after}

    def everything(self) -> np.ndarray:
        return values([*self.net.variables, *self.optimizer.variables])


def values(variables: list) -> np.ndarray:
    """(devices of this worker, values)."""
    copies = [STRATEGY.experimental_local_results(variable.value) for variable in variables]
    return np.stack(
        [np.concatenate([v.numpy().ravel() for v in copy], dtype=float) for copy in zip(*copies, strict=True)]
    )


if __name__ == "__main__":
    main(Path(sys.argv[2]))
