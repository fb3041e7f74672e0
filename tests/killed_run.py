"""A training to be killed: `python killed_run.py FRAMEWORK FOLDER STEPS`. Imports no other framework."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}


def tensorflow() -> tuple[Any, Any, Any]:
    import keras
    from phiml import nn

    keras.utils.set_random_seed(0)
    net = nn.u_net(1, 1, levels=1, filters=4, batch_norm=True)
    optimizer = nn.adam(net, 1e-3)
    return net, optimizer, lambda: [v.numpy() for v in (*net.variables, *optimizer.variables)]


def torch() -> tuple[Any, Any, Any]:
    import torch
    from phiml import nn

    torch.manual_seed(0)
    net = nn.u_net(1, 1, levels=1, filters=4, batch_norm=True)
    optimizer = nn.adam(net, 1e-3)

    def everything() -> list[Any]:
        slots = [v for slot in optimizer.state.values() for v in slot.values()]
        return [tensor.detach().numpy() for tensor in (*net.state_dict().values(), *slots)]

    return net, optimizer, everything


def jax() -> tuple[Any, Any, Any]:
    import jax
    import optax
    from phiml import math, nn

    from phi_sip import OptaxOptimizer

    math.seed(0)
    net = nn.u_net(1, 1, levels=1, filters=4, batch_norm=False)
    optimizer = OptaxOptimizer(net, optax.adam(1e-3))
    return net, optimizer, lambda: list(jax.tree_util.tree_leaves((net.parameters, optimizer.state)))


def main() -> None:
    name, folder, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    importlib.import_module(FLOW[name])
    from fields import periodic, smooth

    from phi_sip import HeatEquation, ProbabilisticDamping
    from phi_sip.data.batches import Batch, by_step
    from phi_sip.training import Callback, train

    physics = HeatEquation(1.0, 1.0, 1e-4, ProbabilisticDamping())

    def sample(step: int) -> Batch:
        x = periodic(1 + smooth(np.random.default_rng(step), 4, 16, 16))
        return Batch(physics.forward(x), x)

    class Report(Callback):
        def on_step(self, record: Any) -> None:
            print(f"step {record.step}", flush=True)
            time.sleep(0.02)

    net, optimizer, everything = globals()[name]()
    train(
        net,
        optimizer,
        physics,
        by_step(sample),
        steps=steps,
        folder=folder,
        checkpoint_every=2,
        validation=sample(1000),
        validate_every=5,
        callbacks=[Report()],
        progress=False,
    )
    np.savez(folder / "everything.npz", *everything())


if __name__ == "__main__":
    main()
