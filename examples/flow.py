"""
Train a network to infer the velocity of an incompressible flow from a marker at its start and its end, without labels.

The fluid experiment of arXiv 2109.15048 with `phi_sip`: scale-invariant physics (SIP), whose inverse runs the
simulation in reverse, against differentiable physics (DP), which is Adam through the simulation, for the same wall
time each; and with the true velocity as labels, for reference. Beside them the inverse alone, without a network, that
begins with a fluid at rest and goes on from its own answer. Writes figures, `records.json` and `summary.md` to the
output folder. Ctrl-C keeps what was done so far.

    python examples/flow.py                         # 2 minutes for each of three methods
    python examples/flow.py --quick                 # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from figures.flow import plot_errors_over_time, plot_markers, plot_velocities
from inverse_alone import NAME, invert_alone
from phi.field import CenteredGrid, Field
from phiml import math, nn
from phiml.math import batch, channel, extrapolation, spatial
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from phi_sip import IncompressibleFlow, Labels, OptaxOptimizer, sip_update_weights
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.records import TrainingRecord, save_records

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
METHODS: dict[str, dict[str, Any]] = {"SIP": {}, "DP": {"solver": "gradient"}, "supervised": {"targets": Labels()}}
LEARNING_RATE = 1e-3
STEPS = 16
TIMES = (1, 2, 3)  # inversions that the inverse alone makes, one after the other


@dataclass(frozen=True)
class Run:
    """A network in training by one method."""

    method: str
    net: Any
    optimizer: Any
    record: TrainingRecord


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    console = Console()
    console.print(
        f"Incompressible flow on {options.framework}: {options.resolution}² cells, {STEPS} time steps, batch "
        f"{options.batch}, {options.seconds:g} s each of {', '.join(METHODS)}"
    )
    runs = []
    try:
        for method in METHODS:
            runs.append(Run(method, *make_network(options), TrainingRecord(method)))
            train(runs[-1], options, console)
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    runs = [run for run in runs if run.record.x_l2]
    if runs:
        report(runs, options, console)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--seconds", type=float, default=120.0, help="wall time per method (default 120)")
    parser.add_argument("--batch", type=int, default=16, help="samples per update (default 16)")
    parser.add_argument("--resolution", type=int, default=32, help="cells per axis, a multiple of 8 (default 32)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and initial weights (default 0)")
    parser.add_argument("--output", type=Path, default=Path("results/flow"), help="folder (default results/flow)")
    parser.add_argument("--quick", action="store_true", help="3 seconds of batch 4 at 16² cells")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.batch, options.resolution = 3.0, 4, 16
    if options.resolution % 8 or min(options.seconds, options.batch, options.resolution) <= 0:
        parser.error("seconds and batch must be positive, resolution a positive multiple of 8")
    return options


def make_network(options: argparse.Namespace) -> tuple[Any, Any]:
    """Two markers in, two components out; the same for all methods. PhiML's JAX u_net has no periodic padding."""
    math.seed(options.seed)
    if options.framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(options.seed)  # math.seed gives every Keras network the same weights
    with math.precision(32):
        net = nn.u_net(2, 2, levels=4, filters=16, periodic=options.framework != "jax")
    if options.framework == "jax":
        import optax

        return net, OptaxOptimizer(net, optax.adam(LEARNING_RATE))
    return net, nn.adam(net, LEARNING_RATE)


def make_data(options: argparse.Namespace, samples: int, step: int) -> tuple[IncompressibleFlow, Field]:
    """The physics with random start markers, and random velocities, of smooth structures; the same for every method."""
    rng = np.random.default_rng([options.seed, step])
    n = options.resolution
    dims = batch(batch=samples), spatial(x=n, y=n)
    marker = math.tensor(random_structures(rng, samples, n, size=n / 3), *dims)
    stream = random_structures(rng, samples, n, size=n / 2)
    values = [np.roll(stream, -1, 2) - np.roll(stream, 1, 2), np.roll(stream, 1, 1) - np.roll(stream, -1, 1)]
    speed = np.sqrt(np.mean(values[0] ** 2 + values[1] ** 2, (1, 2), keepdims=True))
    velocity = math.stack([math.tensor(v / speed, *dims) for v in values], channel(vector="x,y"))
    x = CenteredGrid(velocity, extrapolation.PERIODIC, x=n, y=n)
    physics = IncompressibleFlow(marker, n / 12 / STEPS, STEPS)  # the flow moves by a twelfth of the box
    return physics, physics.constrain(x, None)


def random_structures(rng: np.random.Generator, samples: int, n: int, size: float) -> np.ndarray:
    """Periodic Gaussian random fields (batch, x, y) of variance 1 and mean 0, with structures `size` cells long."""
    k = np.fft.fftfreq(n)
    spectrum = np.exp(-(size**2) * (k[:, None] ** 2 + k**2) / 2)
    spectrum[0, 0] = 0
    values = np.fft.ifft2(np.fft.fft2(rng.standard_normal((samples, n, n))) * spectrum).real
    return (values / values.std((1, 2), keepdims=True)).astype(np.float32)


def predict(net: Any, physics: IncompressibleFlow, y: Field) -> Field:
    """The velocity that the network sees in the two markers."""
    inputs = math.stack([physics.marker, y.values], channel("markers"))
    velocity = math.rename_dims(
        math.native_call(net, inputs, channel_dim="components"), "components", channel(vector="x,y")
    )
    return physics.constrain(y.with_values(velocity), y)


def train(run: Run, options: argparse.Namespace, console: Console) -> None:
    """Trains for the wall time given. Each batch is new, so that its errors are those on unseen samples."""
    columns = (TextColumn("{task.description:>10}"), BarColumn(), TextColumn("{task.completed:.0f} s"))
    errors = TextColumn("x loss {task.fields[x_l2]:8.2f}   y loss {task.fields[y_l2]:8.2f}")
    with interrupts_between_steps() as check_interrupt, Progress(*columns, errors, console=console) as progress:
        task = progress.add_task(run.method, total=options.seconds, x_l2=np.nan, y_l2=np.nan)
        step = 0
        while sum(run.record.seconds) < options.seconds:
            check_interrupt()
            physics, x = make_data(options, options.batch, step)
            y_target = physics.forward(x)
            start = time.perf_counter()
            update = sip_update_weights(
                run.net,
                run.optimizer,
                physics,
                y_target,
                predict=lambda y, physics=physics: predict(run.net, physics, y),
                **METHODS[run.method],
                x_true=x,
            )
            run.record.append(update, time.perf_counter() - start)
            progress.update(task, completed=sum(run.record.seconds), x_l2=run.record.x_l2[-1], y_l2=run.record.y_l2[-1])
            step += 1


def report(runs: list[Run], options: argparse.Namespace, console: Console) -> None:
    """Tests all networks on the same unseen samples; prints the summary and writes it, with figures and records."""
    physics, x_true = make_data(options, 4 * options.batch, step=10**9)
    y_target = physics.forward(x_true)
    predictions = {f"{NAME}, {n} ×": invert_alone(physics, y_target, times=n) for n in TIMES}
    alone = list(predictions)
    predictions |= {run.method: predict(run.net, physics, y_target) for run in runs}
    markers = {method: physics.forward(x) for method, x in predictions.items()}
    scales = {"x_l2": l2(x_true.values), "y_l2": l2(physics.marker - y_target.values)}

    errors = {
        method: (
            (l2((x - x_true).values) / scales["x_l2"]) ** 0.5,
            (l2((markers[method] - y_target).values) / scales["y_l2"]) ** 0.5,
        )
        for method, x in predictions.items()
    }
    training = {run.method: (str(len(run.record.x_l2)), f"{sum(run.record.seconds):.0f}") for run in runs}
    rows = [["method", "steps", "seconds", "velocity error", "marker error"]]
    for method, (velocity_error, marker_error) in errors.items():
        rows.append([method, *training.get(method, ("", "")), f"{velocity_error:.3f}", f"{marker_error:.3f}"])
    table = Table(title=f"{4 * options.batch} samples not seen before")
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)

    options.output.mkdir(parents=True, exist_ok=True)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    (options.output / "summary.md").write_text("\n".join(lines) + "\n")
    save_records([run.record for run in runs], options.output / "records.json")
    shown = [alone[0], alone[-1], *(run.method for run in runs)]
    levels = {method: dict(zip(("x_l2", "y_l2"), errors[method], strict=True)) for method in alone}
    figures = {
        "velocity": plot_velocities(cells(x_true), {method: cells(predictions[method]) for method in shown}),
        "marker": plot_markers(
            cells(physics.marker), cells(y_target), {method: cells(markers[method]) for method in shown}
        ),
        "errors": plot_errors_over_time([run.record for run in runs], scales, levels),
    }
    for name, figure in figures.items():
        figure.savefig(options.output / f"{name}.png", dpi=150)
    console.print(f"Figures, records.json and summary.md are in {options.output}")


def l2(values: math.Tensor) -> float:
    """½ Σ values², a mean over the batch."""
    return float(math.stop_gradient(math.l2_loss(values)).mean)


def cells(values: Any) -> np.ndarray:
    """The first sample, axes (x, y) or (x, y, component)."""
    tensor = (values.values if isinstance(values, Field) else values).batch[0]
    return tensor.numpy(["x", "y", *tensor.shape.channel.names])


if __name__ == "__main__":
    main()
