"""
Train a network to invert heat conduction without labels: scale-invariant (SIP) against differentiable physics (DP).

The experiment of the chapter "Learning to Invert Heat Conduction with Scale-invariant Updates" (arXiv 2109.05237) with
`phi_sip`, and beside it the inverse alone, without a network. Writes figures, `records.json` and `summary.md` to the
output folder. Ctrl-C keeps what was done so far.

    python examples/heat_inversion.py                       # 50 steps of SIP, then DP
    python examples/heat_inversion.py --supervised          # and training with the true x as labels: the limit
    python examples/heat_inversion.py --noise 1e-3 --batch 32 --steps 150 --framework torch
    python examples/heat_inversion.py --quick               # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from inverse_alone import NAME, invert_alone
from phi.field import Field, l2_loss
from phiml import math, nn
from phiml.math import batch, spatial
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phi_sip import (
    HeatEquation,
    InvertiblePhysics,
    Labels,
    OptaxOptimizer,
    PublishedDamping,
    SipUpdate,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.data import Samples, heat_rectangle_samples, prefetched
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.plots import plot_damping, plot_losses, plot_reconstructions
from phi_sip.records import TrainingRecord, save_records

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
LEARNING_RATE = 1e-3


METHODS: dict[str, dict[str, Any]] = {"SIP": {}, "DP": {"solver": "gradient"}, "supervised": {"targets": Labels()}}


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    rule = PublishedDamping() if options.published else None
    physics = HeatEquation(
        diffusivity=1.0, time=8.0, noise_std=0.0 if options.published else "auto", regularization=rule
    )
    methods = ["SIP", "DP"] + ["supervised"] * options.supervised
    console = Console()
    console.print(
        f"Heat inversion on {options.framework}: ν·t = 8, {options.resolution}² cells, batch {options.batch}, "
        f"noise σ = {options.noise:g}, {options.steps} steps of {', '.join(methods)}"
    )
    records, last = [], {}
    with math.precision(64):  # the physics; networks run in single precision
        try:
            for method in methods:
                record = TrainingRecord(method)
                records.append(record)
                for update, x_true, y_target in train(METHODS[method], record, physics, options, console):
                    last[method] = (update, x_true, y_target)
        except KeyboardInterrupt:
            console.print("Interrupted: reporting what was done so far.")
        records = [record for record in records if record.x_l2]
        if records:
            report(records, last, physics, options, console)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="tensorflow")
    parser.add_argument("--steps", type=int, default=50, help="weight updates per method (default 50)")
    parser.add_argument("--batch", type=int, default=128, help="samples per update (default 128)")
    parser.add_argument("--resolution", type=int, default=64, help="cells per axis, a multiple of 8 (default 64)")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise in y* (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and initial weights (default 0)")
    parser.add_argument("--supervised", action="store_true", help="also train with the true x as labels")
    parser.add_argument("--published", action="store_true", help="the published damping, which is not told the noise")
    parser.add_argument("--output", type=Path, default=Path("results/heat"), help="folder (default results/heat)")
    parser.add_argument("--quick", action="store_true", help="8 steps of batch 8 at 32² cells")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.batch, options.resolution = 8, 8, 32
    if options.resolution % 8 or min(options.steps, options.batch, options.resolution) <= 0 or options.noise < 0:
        parser.error("steps and batch must be positive, resolution a positive multiple of 8, noise ≥ 0")
    return options


def make_network(framework: str, seed: int) -> tuple[Any, Any]:
    """The same for all methods. Chosen by measurement (docs/design.md); PhiML's JAX u_net has no periodic padding."""
    seed_everything(framework, seed)
    with math.precision(32):
        net = nn.u_net(1, 1, periodic=framework != "jax")
    return net, adam(net, framework, LEARNING_RATE)


def seed_everything(framework: str, seed: int) -> None:
    math.seed(seed)
    if framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(seed)  # math.seed gives every Keras network the same weights


def adam(net: Any, framework: str, learning_rate: float) -> Any:
    if framework == "jax":
        import optax

        return OptaxOptimizer(net, optax.adam(learning_rate))
    return nn.adam(net, learning_rate)


def heat_samples(physics: InvertiblePhysics, options: argparse.Namespace) -> Samples[Any, tuple[Field, Field]]:
    """Unseen samples x and noisy observations y* by step, the same for every method and framework."""
    n = options.resolution
    rectangles = heat_rectangle_samples(batch(batch=options.batch), spatial(x=n, y=n))

    def draw(step: int) -> tuple[np.ndarray, np.ndarray]:
        seed = 100_000 * options.seed + step
        noise = np.random.default_rng([seed, 1]).standard_normal((options.batch, n, n))
        return rectangles.draw(seed), options.noise * noise

    def finish(drawn: tuple[np.ndarray, np.ndarray]) -> tuple[Field, Field]:
        heat, noise = drawn
        x = rectangles.finish(heat)
        return x, physics.forward(x) + math.tensor(noise, batch("batch"), spatial("x,y"))

    return Samples(draw, finish)


def batches(
    data: Callable[..., tuple[Any, Any]] | None, physics: InvertiblePhysics, options: argparse.Namespace
) -> Generator[tuple[Any, Any], None, None]:
    """(x, y*) of each step: heat, made ahead of the loop, or what `data` makes of (physics, options, step)."""
    steps = range(options.steps)
    if data is None:
        return prefetched(heat_samples(physics, options), steps)
    return (data(physics, options, step) for step in steps)


def train(
    method: dict[str, Any],
    record: TrainingRecord,
    physics: InvertiblePhysics,
    options: argparse.Namespace,
    console: Console,
    data: Callable[..., tuple[Any, Any]] | None = None,
    network: Callable[[str, int], tuple[Any, Any]] = make_network,
    predict: Callable[[Any, Any], Any] | None = None,
):
    """Yields (update, x, y*) after each step. `method`: arguments of the update; `predict` maps network and y* to x."""
    net, optimizer = network(options.framework, options.seed)
    call = predict and functools.partial(predict, net)
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    losses = TextColumn("x loss {task.fields[x_l2]:8.2f}   y loss {task.fields[y_l2]:9.4f}")
    with (
        interrupts_between_steps() as check_interrupt,
        Progress(*columns, losses, console=console) as progress,
        closing(batches(data, physics, options)) as pairs,
    ):
        task = progress.add_task(record.method, total=options.steps, x_l2=np.nan, y_l2=np.nan)
        for _ in range(options.steps):
            check_interrupt()
            start = time.perf_counter()
            x, y_target = next(pairs)
            update = sip_update_weights(net, optimizer, physics, y_target, predict=call, x_true=x, **method)
            record.append(update, time.perf_counter() - start)
            progress.update(task, advance=1, x_l2=record.x_l2[-1], y_l2=record.y_l2[-1])
            yield update, x, y_target


def report(
    records: list[TrainingRecord],
    last: dict[str, tuple[SipUpdate, Field, Field]],
    physics: HeatEquation,
    options: argparse.Namespace,
    console: Console,
) -> None:
    """Prints the summary and writes figures, records and the summary to the output folder."""
    alone = inverse_alone(physics, *last[records[0].method][1:])
    table = Table(title="Mean of the last 10 steps, on samples not seen before")
    rows = [["method", "steps", "x loss", "y loss", "x loss ÷ SIP's", "seconds a step"]]
    for r in records:
        ratio = r.final("x_l2") / records[0].final("x_l2")
        seconds = np.median(r.seconds)
        rows.append(
            [
                r.method,
                str(len(r.x_l2)),
                f"{r.final('x_l2'):.2f}",
                f"{r.final('y_l2'):.4f}",
                f"{ratio:.3f}",
                f"{seconds:.2f}",
            ]
        )
    rows.append([f"the {NAME}", "", f"{alone.x_l2:.2f}", f"{alone.y_l2:.4f}", "", ""])
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)

    options.output.mkdir(parents=True, exist_ok=True)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    (options.output / "summary.md").write_text("\n".join(lines) + "\n")
    save_records(records, options.output / "records.json")
    for name, figure in make_figures(records, last, physics, alone).items():
        figure.savefig(options.output / f"{name}.png", dpi=150)
    console.print(f"Figures, records.json and summary.md are in {options.output}")


class InverseAlone(NamedTuple):
    """What the inverse makes of observations without any network, and its mean errors."""

    x: Field
    x_l2: float
    y_l2: float


def inverse_alone(physics: InvertiblePhysics, x_true: Field, y_target: Field) -> InverseAlone:
    """The simplest alternative to a trained network."""
    x = invert_alone(physics, y_target)
    x_l2, y_l2 = (float(l2_loss(a - b).mean) for a, b in ((x, x_true), (physics.forward(x), y_target)))
    return InverseAlone(x, x_l2, y_l2)


def make_figures(
    records: list[TrainingRecord],
    last: dict[str, tuple[SipUpdate, Field, Field]],
    physics: HeatEquation,
    alone: InverseAlone,
) -> dict:
    first = records[0].method
    update, x_true, y_target = last[first]

    errors = update.x_l2.numpy("batch")
    typical = int(np.argsort(errors)[len(errors) // 2])  # the sample with the median error

    def sample(field: Field) -> np.ndarray:
        return field.values.batch[typical].numpy("x,y")

    # An interrupted method has seen other samples last: compare those that ended on the same.
    same = {m: u for m, (u, x, _) in last.items() if np.array_equal(sample(x), sample(x_true))}
    step = sip_inverse(physics, y_target, update.x)
    gain = math.exp(step.stats["log_gain"])
    wavenumber = math.sqrt(-step.stats["log_gain"] / (physics.diffusivity * physics.time))
    return {
        "x_loss": plot_losses(records, "x_l2", levels={f"the {NAME}": alone.x_l2}),
        "y_loss": plot_losses(records, "y_l2", smooth=2, levels={f"the {NAME}": alone.y_l2}),
        "reconstructions": plot_reconstructions(
            sample(x_true),
            sample(y_target),
            {NAME: sample(alone.x), **{m: sample(u.x) for m, u in same.items()}},
        ),
        "damping": plot_damping(
            wavenumber.numpy("x,y"), gain.numpy("x,y"), (step.stats["kernel"] * gain).numpy("batch,x,y")
        ),
    }


if __name__ == "__main__":
    main()
