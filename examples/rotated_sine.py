"""
Shows how conditioning and coupling of the physics slow training down, but not scale-invariant (SIP) training.

The characterisation experiment of arXiv 2109.15048, section 4.1, with `phi_sip`: a small network learns to invert
y = (sin(x̂₁) / ξ, ξ x̂₂), x̂ = R_φ x, from observations alone, with saddle-free Newton as inverse (SIP), by Adam through
the physics (DP), and with the true x as labels, for reference. Beside them the inverse alone, without a network, which
begins at x = 0. The network sees y* in units of (1/ξ, ξ), whatever the method, and x* is drawn from the square
[−1, 1]², on which the inverse is unique. The optimizer is Adam for all, its learning rate follows half a cosine down
to 0. Writes figures, `distances.json`, `records.json` and `summary.md` to the output folder. Ctrl-C keeps what was done
so far.

    python examples/rotated_sine.py                                     # minutes
    python examples/rotated_sine.py --closed-form                       # and SIP with the exact inverse
    python examples/rotated_sine.py --learning-rates 1e-3 3e-3 1e-2     # each network with the best of three rates
    python examples/rotated_sine.py --quick                             # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from figures.comparison import plot_distances
from inverse_alone import NAME, invert_alone
from phiml import math, nn
from phiml.math import Tensor, batch, channel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phi_sip import Labels, OptaxOptimizer, RotatedSine, SaddleFreeNewton, sip_update_weights
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.plots import plot_losses
from phi_sip.records import TrainingRecord, save_records

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
CLOSED_FORM = "SIP, closed form"
METHODS: dict[str, dict[str, Any]] = {
    "SIP, saddle-free Newton": {"solver": SaddleFreeNewton()},
    "DP, Adam": {"solver": "gradient"},
    "supervised": {"targets": Labels()},
    CLOSED_FORM: {},
}
CONDITIONS = (1.0, 4.0, 8.0, 16.0, 32.0)
ANGLES = (0.0, 15.0, 30.0, 45.0)  # degrees


@dataclass(frozen=True, order=True)
class Setting:
    """One physics: ξ, and φ in degrees."""

    condition: float
    angle: float

    @property
    def physics(self) -> RotatedSine:
        return RotatedSine(self.condition, np.deg2rad(self.angle))


HARDEST = Setting(CONDITIONS[-1], ANGLES[-1])
SETTINGS = sorted({Setting(c, a) for c in CONDITIONS for a in (0.0, 45.0)} | {Setting(32.0, a) for a in ANGLES})


@dataclass(frozen=True)
class Trained:
    """One network: mean ‖x − x*‖ on samples not seen before, learning rate and history."""

    distance: float
    rate: float
    record: TrainingRecord


Results = dict[str, dict[Setting, Trained]]


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    methods = [method for method in METHODS if options.closed_form or method != CLOSED_FORM]
    settings = SETTINGS if not options.quick else [Setting(c, a) for c in (1.0, 32.0) for a in (0.0, 45.0)]
    console = Console()
    console.print(
        f"Rotated sine on {options.framework}: {len(settings)} physics, batch {options.batch}, {options.steps} steps "
        f"each of {'; '.join(methods)}"
    )
    results: Results = {method: {} for method in methods}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with interrupts_between_steps() as check_interrupt, Progress(*columns, console=console) as progress:
            task = progress.add_task("networks", total=len(methods) * len(settings))
            for setting in reversed(settings):
                for method in methods:
                    with math.precision(64):  # the physics; networks run in single precision
                        runs = [train(method, setting, r, options, check_interrupt) for r in options.learning_rates]
                    results[method][setting] = min(runs, key=lambda run: run.record.final("x_l2", 100))
                    progress.advance(task)
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    results = {method: found for method, found in results.items() if found}
    if results:
        report(results, options, console)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--steps", type=int, default=1000, help="weight updates per network (default 1000)")
    parser.add_argument("--batch", type=int, default=100, help="samples per update (default 100)")
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[3e-3], help="to try (default 3e-3)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and initial weights (default 0)")
    parser.add_argument("--closed-form", action="store_true", help="also train by SIP with the exact inverse")
    folder = Path("results/rotated_sine")
    parser.add_argument("--output", type=Path, default=folder, help=f"folder (default {folder})")
    parser.add_argument("--quick", action="store_true", help="20 steps of batch 20, 4 physics")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.batch = 20, 20
    if min(options.steps, options.batch, *options.learning_rates) <= 0:
        parser.error("steps, batch and learning rates must be positive")
    return options


def make_network(framework: str, seed: int) -> Any:
    """Two values in, two out; the same for all methods."""
    math.seed(seed)
    if framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(seed)  # math.seed gives every Keras network the same weights
    with math.precision(32):
        return nn.mlp(2, 2, [32, 64, 32], activation="tanh")


def make_optimizer(framework: str, net: Any, rate: float, steps: int) -> Any:
    """Adam, whose learning rate follows half a cosine down to 0."""
    if framework == "tensorflow":
        import keras

        return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    if framework == "jax":
        import optax

        return OptaxOptimizer(net, optax.adam(optax.cosine_decay_schedule(rate, steps)))
    import torch

    optimizer = torch.optim.Adam(net.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    return optimizer


def make_data(samples: int, *seed: int) -> Tensor:
    """x* from the square [−1, 1]²; |x̂₁| ≤ √2 < π/2, so that y* has one x* there."""
    values = np.random.default_rng(seed).uniform(-1, 1, (samples, 2))
    return math.tensor(values, batch("batch"), channel("vector"))


def predict(net: Any, condition: float, y: Tensor) -> Tensor:
    """The network sees (ξ y₁, y₂ / ξ), which are of the size of 1."""
    units = math.tensor(np.array([condition, 1 / condition], np.float32), channel("vector"))
    with math.precision(32):
        return math.native_call(net, y * units)


def train(
    method: str, setting: Setting, rate: float, options: argparse.Namespace, check_interrupt: Callable[[], None]
) -> Trained:
    """Trains one network. Each batch is new, so that its errors are those on unseen samples."""
    physics, record = setting.physics, TrainingRecord(method)
    net = make_network(options.framework, options.seed)
    optimizer = make_optimizer(options.framework, net, rate, options.steps)
    for step in range(options.steps):
        check_interrupt()
        x = make_data(options.batch, options.seed, step)
        y_target = physics.forward(x)
        start = time.perf_counter()
        update = sip_update_weights(
            net,
            optimizer,
            physics,
            y_target,
            predict=lambda y: predict(net, setting.condition, y),
            **METHODS[method],
            x_true=x,
        )
        record.append(update, time.perf_counter() - start)
    x = make_data(2000, options.seed, options.steps)
    error = (predict(net, setting.condition, physics.forward(x)) - x).numpy("batch,vector")
    return Trained(float(np.linalg.norm(error, axis=1).mean()), rate, record)


def distance_alone(setting: Setting, options: argparse.Namespace) -> float:
    """Mean ‖x − x*‖ of saddle-free Newton without a network, on the samples that networks are tested with."""
    x = make_data(2000, options.seed, options.steps)
    with math.precision(64):
        found = invert_alone(setting.physics, setting.physics.forward(x), solver=SaddleFreeNewton())
    return float(np.linalg.norm((found - x).numpy("batch,vector"), axis=1).mean())


def report(results: Results, options: argparse.Namespace, console: Console) -> None:
    """Prints the summary and writes figures, distances, records and the summary to the output folder."""
    settings = sorted({setting for found in results.values() for setting in found})
    alone = {setting: distance_alone(setting, options) for setting in settings}
    rows = [["ξ", "φ", *results, f"{NAME}, saddle-free Newton"]]
    for setting in settings:
        distances = [f"{found[setting].distance:.4f}" if setting in found else "" for found in results.values()]
        rows.append([f"{setting.condition:g}", f"{setting.angle:g}°", *distances, f"{alone[setting]:.2g}"])
    table = Table(title="Mean ‖x − x*‖ on 2000 samples not seen before")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)

    options.output.mkdir(parents=True, exist_ok=True)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    (options.output / "summary.md").write_text("\n".join(lines) + "\n")
    entries = [
        {"method": method, "ξ": s.condition, "φ": s.angle, "learning rate": run.rate, "distance": run.distance}
        for method, found in results.items()
        for s, run in found.items()
    ]
    (options.output / "distances.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False))
    records = [found[HARDEST].record for found in results.values()]
    save_records(records, options.output / "records.json")
    distances = {m: {(s.condition, s.angle): t.distance for s, t in f.items()} for m, f in results.items()}
    distances[NAME] = {(s.condition, s.angle): distance for s, distance in alone.items()}
    figures = {"distances": plot_distances(distances), "training": plot_losses(records, "x_l2", smooth=8)}
    for name, figure in figures.items():
        figure.savefig(options.output / f"{name}.png", dpi=150)
    console.print(f"Figures, distances.json, records.json and summary.md are in {options.output}")


if __name__ == "__main__":
    main()
