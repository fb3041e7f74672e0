"""
Trains all cases with JAX, on arrays that are divided among two devices or on one, and saves what it found.

    python jax_devices.py {devices,processes,alone} FOLDER [COORDINATOR NUMBER]

The devices are those of one process or of two.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

KIND = sys.argv[1]
WORKER = int(sys.argv[4]) if KIND == "processes" else 0
if KIND == "devices":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import jax

if KIND == "processes":
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(sys.argv[3], num_processes=2, process_id=WORKER)

import numpy as np
import optax
import phi.jax.flow  # noqa: F401 - makes JAX PhiFlow's default
from cases import AS_ONE, BAD, BATCH_NORM, EPSILON, LEARNING_RATE, STEPS, Case, field, observed, with_bad_value
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from phiml import math, nn

from phi_sip import OptaxOptimizer, SipError, sip_update_weights

DEVICES = len(jax.devices())
MESH = Mesh(np.array(jax.devices()), "batch")
ALONG_BATCH, EVERYWHERE = NamedSharding(MESH, PartitionSpec("batch")), NamedSharding(MESH, PartitionSpec())


def main(folder: Path) -> None:
    found = {case.name: Training(case).run() for case in AS_ONE}
    training = Training(BATCH_NORM)
    found[BATCH_NORM.name] = training.run()  # of the whole batch
    if DEVICES > 1:
        found |= training.meet_bad_data()
    np.savez(folder / f"{WORKER}.npz", **found)


class Training:
    """Network and optimizer of a case, and the step that a user would write."""

    def __init__(self, case: Case) -> None:
        self.case = case
        math.seed(0)
        self.net = nn.u_net(1, 1, levels=1, filters=4, batch_norm=case.batch_norm)
        self.net.parameters = jax.device_put(self.net.parameters, EVERYWHERE)
        adam = optax.adam(LEARNING_RATE, eps=EPSILON)
        self.optimizer = OptaxOptimizer(self.net, adam if case.optimizer == "adam" else optax.sgd(LEARNING_RATE))
        self.optimizer.state = jax.device_put(self.optimizer.state, EVERYWHERE)

    def update(self, values: list[np.ndarray]) -> None:
        """One step with the data of each device."""
        mine = values[WORKER] if KIND == "processes" else np.concatenate(values)
        y_target = field(jax.make_array_from_process_local_data(ALONG_BATCH, mine))
        options = {"clip_norm": self.case.clip_norm}
        update = sip_update_weights(self.net, self.optimizer, self.case.physics, y_target, **options)
        assert np.isfinite(float(update.loss.mean))

    def data(self, step: int) -> list[np.ndarray]:
        physics = self.case.physics
        return [observed(physics, step, device) for device in range(2)]

    def run(self) -> np.ndarray:
        """The weights after training."""
        for step in range(STEPS):
            self.update(self.data(step))
        return values(self.net.parameters)

    def meet_bad_data(self) -> dict[str, np.ndarray]:
        """What there is before and after updates that cannot be made on one device, and after going on."""
        states, errors = [self.everything()], []
        for bad in BAD:
            good, other = self.data(STEPS)
            try:
                self.update([good, with_bad_value(other, bad)])
            except SipError as error:
                errors.append(type(error).__name__)
            states.append(self.everything())
        self.update(self.data(STEPS + 1))
        return {"kept": np.stack(states, 1), "errors": np.array(errors), "after": values(self.net.parameters)}

    def everything(self) -> np.ndarray:
        return values((self.net.parameters, self.optimizer.state))


def values(tree: object) -> np.ndarray:
    """(devices of this process, values)."""
    leaves = [jax.device_put(leaf, EVERYWHERE) for leaf in jax.tree_util.tree_leaves(tree)]
    copies = zip(*[[shard.data for shard in leaf.addressable_shards] for leaf in leaves], strict=True)
    return np.stack([np.concatenate([np.ravel(value) for value in copy], dtype=float) for copy in copies])


if __name__ == "__main__":
    main(Path(sys.argv[2]))
