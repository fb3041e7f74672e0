"""
Train a network to invert heat conduction on several GPUs or machines: sharded arrays of JAX.

One process uses all its GPUs; where there is no GPU, XLA makes two devices of the CPU:

    XLA_FLAGS=--xla_force_host_platform_device_count=2 python examples/distributed/jax_sharded.py --steps 50 --batch 32

Several processes, here two on one machine, need the same order of everything that Python hashes:

    for i in 0 1; do PYTHONHASHSEED=0 python examples/distributed/jax_sharded.py --coordinator localhost:41001 --processes 2 --process $i & done; wait
"""  # noqa: E501

from __future__ import annotations

import argparse

import jax
import numpy as np
import optax
from arguments import add_arguments, parse
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def main() -> None:
    options = parse_arguments()
    if options.coordinator:  # before PhiFlow starts JAX
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(options.coordinator, options.processes, options.process)
    train(options)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--coordinator", help="address of process 0, host:port (default: there is one process)")
    parser.add_argument("--processes", type=int, default=1, help="how many there are (default 1)")
    parser.add_argument("--process", type=int, default=0, help="which one this is, from 0 (default 0)")
    return parse(parser)


def train(options: argparse.Namespace) -> None:
    import phi.jax.flow  # noqa: F401 - makes JAX PhiFlow's default backend
    from phi.field import CenteredGrid
    from phiml import math, nn
    from phiml.math import batch, extrapolation, spatial

    from phi_sip import HeatEquation, OptaxOptimizer, sip_update_weights
    from phi_sip.data import heat_rectangle_samples, step_seed

    mesh = Mesh(np.array(jax.devices()), "batch")
    along_batch, everywhere = NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec())
    net = nn.u_net(1, 1)
    net.parameters = jax.device_put(net.parameters, everywhere)
    optimizer = OptaxOptimizer(net, optax.adam(1e-3))
    optimizer.state = jax.device_put(optimizer.state, everywhere)
    physics = HeatEquation(diffusivity=1.0, time=8.0)
    mine = batch(batch=options.batch // jax.process_count())
    rectangles = heat_rectangle_samples(mine, spatial(x=options.resolution, y=options.resolution))
    for step in range(options.steps):
        heat = rectangles.draw(step_seed(0, step, jax.process_index()))
        values = jax.make_array_from_process_local_data(along_batch, heat)
        x = CenteredGrid(math.wrap(values, batch("batch"), spatial("x,y")), extrapolation.PERIODIC)
        update = sip_update_weights(net, optimizer, physics, physics.forward(x), x_true=x)
        loss, x_loss = float(update.loss.mean), float(update.x_l2.mean)  # all processes take part in the means
        if jax.process_index() == 0:
            print(f"step {step}: loss {loss:.3f}  x loss {x_loss:.3f}", flush=True)


if __name__ == "__main__":
    main()
