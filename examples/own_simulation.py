"""
Turns a simulation of your own, as a PhiFlow script has it, into SIP training.

`simulate` is any differentiable function of Fields. `DifferentiablePhysics(simulate)` makes it invertible, numerically,
and `sip_update_weights` takes the place of `update_weights`. Everything else is what the script was before.

    python examples/own_simulation.py                    # a few minutes: SIP, then gradients through the simulation
    python examples/own_simulation.py --quick            # seconds
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from inverse_alone import NAME, invert_alone
from phi import field
from phi.field import CenteredGrid, Field
from phiml import math, nn
from phiml.math import batch, spatial
from rich.console import Console
from rich.progress import track

from phi_sip import DifferentiablePhysics, NonFiniteError, OptaxOptimizer, sip_update_weights
from phi_sip.data import heat_rectangles
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.plots import plot_losses, plot_reconstructions
from phi_sip.records import TrainingRecord, save_records

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
SOLVERS = {"SIP": None, "DP": "gradient"}


# --- the simulation, as it was: a population spreads and grows (Fisher, 1937) ---
def simulate(u: Field) -> Field:
    """∂u/∂t = D ∇²u + r u (1 − u), explicit Euler."""
    for _ in range(20):
        u = u + 0.2 * (0.5 * field.laplace(u) + 0.25 * u * (1 - u))
    return u


def make_states(count: int, cells: int, seed: int) -> Field:
    """Initial populations: what is to be found from where they are later."""
    x = heat_rectangles(batch(batch=count), spatial(x=cells, y=cells), seed=seed)
    return CenteredGrid(x.values * 0.3, x.boundary, bounds=x.bounds, resolution=x.resolution)


# --- the training script: the two lines that differ are marked ---
def train(method: str, options: argparse.Namespace, console: Console) -> tuple[TrainingRecord, list[np.ndarray]]:
    physics = DifferentiablePhysics(simulate)  # new
    net, optimizer = make_network(options.framework)
    record, last = TrainingRecord(method), []
    with interrupts_between_steps() as check_interrupt:
        for step in track(range(options.steps), method, console=console):
            check_interrupt()
            x = make_states(options.batch, options.resolution, seed=step)
            y_target = physics.forward(x)
            start = time.perf_counter()
            try:
                update = sip_update_weights(  # was: update_weights(net, optimizer, loss_function, y_target)
                    net, optimizer, physics, y_target, x_true=x, solver=SOLVERS[method]
                )
            except NonFiniteError as error:  # a gradient through the simulation can overflow; nothing has changed
                console.print(f"{method}, step {step}: skipped. {error}")
                continue
            record.append(update, time.perf_counter() - start)
            last = [f.values.batch[0].numpy("x,y") for f in (x, y_target, update.x)]
    return record, last


def make_network(framework: str) -> tuple[nn.Network, object]:
    math.seed(0)
    if framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(0)
    net = nn.u_net(1, 1, periodic=framework != "jax")
    if framework == "jax":
        import optax

        return net, OptaxOptimizer(net, optax.adam(1e-3))
    return net, nn.adam(net, 1e-3)


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])
    console = Console()
    records, fields = [], {}
    try:
        for method in SOLVERS:
            record, fields[method] = train(method, options, console)
            records.extend([record] if record.x_l2 else [])
    except KeyboardInterrupt:
        console.print("Interrupted: reporting the methods that were done.")
    for r in records:
        console.print(f"{r.method}: x loss {r.final('x_l2'):.2f}, {np.median(r.seconds):.2f} s a step")
    if records:
        done = len(records[0].x_l2)
        alone = inverse_alone(range(max(0, done - 10), done), options)
        console.print(f"the {NAME}: x loss {alone[1]:.2f}")
        report(records, fields, alone, options)
        console.print(f"Figures and records.json are in {options.output}")


def inverse_alone(steps: range, options: argparse.Namespace) -> tuple[np.ndarray, float]:
    """What the inverse makes of the last observations without a network, and its mean error over these steps."""
    physics, losses = DifferentiablePhysics(simulate), []
    for step in steps:
        x_true = make_states(options.batch, options.resolution, seed=step)
        x = invert_alone(physics, physics.forward(x_true))
        losses.append(float(field.l2_loss(x - x_true).mean))
    return x.values.batch[0].numpy("x,y"), float(np.mean(losses))


def report(
    records: list[TrainingRecord],
    fields: dict[str, list[np.ndarray]],
    alone: tuple[np.ndarray, float],
    options: argparse.Namespace,
) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    save_records(records, options.output / "records.json")
    losses = plot_losses(records, "x_l2", smooth=2, levels={f"the {NAME}": alone[1]})
    losses.savefig(options.output / "x_loss.png", dpi=150)
    x, y, _ = fields[records[0].method]
    found = {NAME: alone[0], **{r.method: fields[r.method][2] for r in records}}
    plot_reconstructions(x, y, found, quantity="population").savefig(options.output / "reconstructions.png", dpi=150)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--steps", type=int, default=60, help="weight updates per method (default 60)")
    parser.add_argument("--batch", type=int, default=16, help="samples per update (default 16)")
    parser.add_argument("--resolution", type=int, default=32, help="cells per axis, a multiple of 8 (default 32)")
    parser.add_argument("--output", type=Path, default=Path("results/own_simulation"), help="folder")
    parser.add_argument("--quick", action="store_true", help="3 steps of batch 2 at 16² cells")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.batch, options.resolution = 3, 2, 16
    if options.resolution % 8 or min(options.steps, options.batch, options.resolution) <= 0:
        parser.error("steps and batch must be positive, resolution a positive multiple of 8")
    return options


if __name__ == "__main__":
    main()
