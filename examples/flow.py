"""
Train a network to infer the velocity of an incompressible flow from a marker at its start and its end, without labels.

The fluid experiment of arXiv 2109.15048 with `phi_sip`: scale-invariant physics (SIP), whose inverse runs the
simulation in reverse, against differentiable physics (DP), which is Adam through the simulation with the best of three
learning rates, for the same processor time each; and training with the true velocities as labels. Beside them the
inverse alone, without a network, that goes on from its own answer. Writes figures, `records.json` and `summary.md` to
the output folder. Ctrl-C keeps what was done so far.

    python examples/flow.py                         # data of the paper, 3 seeds, about 15 minutes
    python examples/flow.py --data fields           # velocities without any form
    python examples/flow.py --quick                 # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from figures.flow import plot_errors_over_time, plot_markers, plot_velocities
from flow_data import DATA, Sample
from inverse_alone import NAME, invert_alone
from phi.field import Field
from phiml import math, nn
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from phi_sip import (
    InvertiblePhysics,
    Labels,
    OptaxOptimizer,
    Projected,
    predict_state,
    sip_update_weights,
    start_from_estimate,
)
from phi_sip.contract.inputs import NetworkInput, Observed
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.records import TrainingRecord, save_records

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
TIMES = (1, 2, 6)  # inversions that the inverse alone makes, one after the other
TEST, TEST_SAMPLES = 10**9, 64  # step and number of the samples that no training sees


@dataclass(frozen=True)
class StartMarker(NetworkInput):
    """Shows the marker at the start."""

    name: ClassVar[str] = "start-marker"

    def of(self, observed: Observed) -> Any:
        physics: Any = observed.physics
        return getattr(physics, "physics", physics).marker


@dataclass(frozen=True)
class Method:
    """
    A way to train.

    Attributes:
        prior: Options of `Projected`, by which what is known of velocities is a prior; `None`: it is not used.
        shown: What the network is shown besides the two markers.
        rates: Learning rates to try.
        options: Of `sip_update_weights`.
    """

    prior: dict[str, Any] | None = None
    shown: tuple[str, ...] = ()
    rates: tuple[float, ...] = (1e-3,)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Any, ...]:
        return ("y", StartMarker(), *self.shown)

    @property
    def channels(self) -> int:
        return 2 + 2 * len(self.shown)

    def physics(self, sample: Sample) -> InvertiblePhysics:
        return sample.physics if self.prior is None else Projected(sample.physics, sample.family, **self.prior)


THROUGH = {"solver": "gradient"}
RATES = (1e-3, 3e-3, 1e-2)
METHODS = {
    "blobs": {
        "SIP": Method({}, rates=RATES[:2]),
        "SIP, shown the inverse": Method({}, ("estimate",)),
        "SIP, predictions free": Method({"project_predictions": False}, rates=(3e-3,)),
        "DP": Method(rates=RATES, options=THROUGH),
        "DP, same prior": Method({}, rates=RATES, options=THROUGH),
        "labels": Method(rates=(3e-3,), options={"targets": Labels()}),
    },
    "fields": {
        "SIP": Method(),
        "SIP, shown the inverse": Method(None, ("estimate",)),
        "DP": Method(rates=RATES, options=THROUGH),
        "labels": Method(options={"targets": Labels()}),
    },
}


@dataclass(frozen=True)
class Run:
    """A network that is trained, and its relative errors of velocity and marker on samples that it has not seen."""

    method: str
    seed: int
    rate: float
    net: Any
    record: TrainingRecord
    errors: list[float] = field(default_factory=list)


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    console = Console()
    console.print(
        f"Incompressible flow, {options.data}, on {options.framework}: {options.resolution}² cells, batch "
        f"{options.batch}, {options.seconds:g} s of processor time each, {options.seeds} seeds"
    )
    runs: list[Run] = []
    try:
        for seed in range(options.seed, options.seed + options.seeds):
            for name in options.methods:
                runs.append(best_run(name, seed, runs, options, console))
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    if runs:
        report(runs, options, console)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--data", choices=DATA, default="blobs", help="those of the paper, or fields without any form")
    parser.add_argument("--seconds", type=float, default=40.0, help="processor time per training (default 40)")
    parser.add_argument("--batch", type=int, default=16, help="samples per update (default 16)")
    parser.add_argument("--resolution", type=int, default=32, help="cells per axis, a multiple of 8 (default 32)")
    parser.add_argument("--seed", type=int, default=0, help="first seed of data and initial weights (default 0)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default 3)")
    parser.add_argument("--observations", type=int, default=4096, help="to train with (default 4096)")
    parser.add_argument("--methods", nargs="+", help="names of those to compare (default all)")
    parser.add_argument("--output", type=Path, default=Path("results/flow"), help="folder (default results/flow)")
    parser.add_argument("--quick", action="store_true", help="one seed, 1 second of batch 4 at 16² cells")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.batch, options.resolution, options.seeds = 1.0, 4, 16, 1
    options.methods = options.methods or list(METHODS[options.data])
    if unknown := set(options.methods) - set(METHODS[options.data]):
        parser.error(f"no such methods: {', '.join(unknown)}; there are {', '.join(METHODS[options.data])}")
    positive = (options.seconds, options.batch, options.resolution, options.seeds, options.observations)
    if options.resolution % 8 or min(positive) <= 0:
        parser.error("seconds, batch, seeds and observations must be positive, resolution a positive multiple of 8")
    return options


def make_network(options: argparse.Namespace, seed: int, channels: int, rate: float) -> tuple[Any, Any]:
    """What is shown in, two components out. PhiML's JAX u_net has no periodic padding."""
    math.seed(seed)
    if options.framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(seed)  # math.seed gives every Keras network the same weights
    with math.precision(32):
        net = nn.u_net(channels, 2, levels=4, filters=16, periodic=options.framework != "jax")
    if options.framework == "jax":
        import optax

        return net, OptaxOptimizer(net, optax.adam(rate))
    return net, nn.adam(net, rate)


@lru_cache(maxsize=512)
def sample(data: str, resolution: int, samples: int, seed: int, step: int) -> Sample:
    """A batch of observations, the same for every method."""
    return DATA[data](np.random.default_rng([seed, step]), samples, resolution)


def best_run(name: str, seed: int, runs: Sequence[Run], options: argparse.Namespace, console: Console) -> Run:
    """Trains by a method, with the learning rate that was best for the first seed, or with each of them if it is."""
    known = [run.rate for run in runs if run.method == name]
    rates = known[:1] or METHODS[options.data][name].rates
    tried = [train(name, seed, rate, options, console) for rate in rates]
    for run in tried if len(tried) > 1 else ():
        console.print(f"    {name}, learning rate {run.rate:g}: velocity error {run.errors[0]:.3f}")
    return min(tried, key=lambda run: run.errors[0] if np.isfinite(run.errors[0]) else np.inf)


def train(name: str, seed: int, rate: float, options: argparse.Namespace, console: Console) -> Run:
    """Trains for the processor time given, and tests the network."""
    method = METHODS[options.data][name]
    net, optimizer = make_network(options, seed, method.channels, rate)
    run = Run(name, seed, rate, net, TrainingRecord(f"{name}, seed {seed}"))
    batches = max(1, options.observations // options.batch)
    if "estimate" in method.shown:
        first = sample(options.data, options.resolution, options.batch, seed, 0)
        start_from_estimate(net, method.physics(first), first.y, inputs=method.inputs)
    columns = (TextColumn("{task.description:>32}"), BarColumn(), TextColumn("{task.completed:.0f} s"))
    errors = TextColumn("x loss {task.fields[x_l2]:8.2f}   y loss {task.fields[y_l2]:8.2f}")
    with interrupts_between_steps() as check_interrupt, Progress(*columns, errors, console=console) as progress:
        task = progress.add_task(run.record.method, total=options.seconds, x_l2=np.nan, y_l2=np.nan)
        while sum(run.record.seconds) < options.seconds:
            check_interrupt()
            step = len(run.record.seconds) % batches
            given = sample(options.data, options.resolution, options.batch, seed, step)
            start = time.process_time()
            update = sip_update_weights(
                net, optimizer, method.physics(given), given.y, inputs=method.inputs, x_true=given.x, **method.options
            )
            run.record.append(update, time.process_time() - start)
            x_l2, y_l2 = run.record.x_l2[-1], run.record.y_l2[-1]
            progress.update(task, completed=sum(run.record.seconds), x_l2=x_l2, y_l2=y_l2)
    run.errors.extend(errors_of(*answer(run, options)))
    return run


def test_sample(options: argparse.Namespace, seed: int) -> Sample:
    return sample(options.data, options.resolution, TEST_SAMPLES, seed, TEST)


def answer(run: Run, options: argparse.Namespace) -> tuple[Sample, Field]:
    """The samples of a test, and the velocity that the network infers from them."""
    method, given = METHODS[options.data][run.method], test_sample(options, run.seed)
    return given, predict_state(run.net, method.physics(given), given.y, inputs=method.inputs)


def errors_of(given: Sample, x: Field) -> list[float]:
    """‖x − x*‖ / ‖x*‖ and ‖y − y*‖ / ‖m(0) − y*‖, root mean squares over the samples."""
    y = given.physics.forward(x)
    velocity = l2((x - given.x).values) / l2(given.x.values)
    marker = l2((y - given.y).values) / l2(given.physics.marker - given.y.values)
    return [velocity**0.5, marker**0.5]


def alone(given: Sample, options: argparse.Namespace) -> dict[str, Field]:
    """What the inverse finds without a network."""
    found = {f"{NAME}, {n} ×": invert_alone(given.physics, given.y, times=n) for n in TIMES}
    if given.family is not None:
        physics = Projected(given.physics, given.family)
        found["the family, nothing inverted"] = physics.initial_state(given.y)
        found |= {f"{NAME}, projected, {n} ×": invert_alone(physics, given.y, times=n) for n in TIMES}
        found["the nearest of the family"] = given.family(given.x)
    return found


def report(runs: Sequence[Run], options: argparse.Namespace, console: Console) -> None:
    """Prints the summary and writes it, with figures and records."""
    seeds = sorted({run.seed for run in runs})
    levels: dict[str, list[list[float]]] = {}
    for seed in seeds:
        given = test_sample(options, seed)
        for name, x in alone(given, options).items():
            levels.setdefault(name, []).append(errors_of(given, x))
    rows = [["method", "learning rate", "steps", "velocity error", "marker error"]]
    rows += [[name, "", "", *spread(errors)] for name, errors in levels.items()]
    for name in dict.fromkeys(run.method for run in runs):
        own = [run for run in runs if run.method == name]
        steps = f"{np.mean([len(run.record.seconds) for run in own]):.0f}"
        rows.append([name, f"{own[0].rate:g}", steps, *spread([run.errors for run in own])])
    table = Table(title=f"{options.seconds:g} s each, {TEST_SAMPLES} samples not seen before, {len(seeds)} seeds")
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
    draw([run for run in runs if run.seed == seeds[0]], {name: found[0] for name, found in levels.items()}, options)
    console.print(f"Figures, records.json and summary.md are in {options.output}")


def spread(errors: Sequence[Sequence[float]]) -> list[str]:
    """Mean ± standard deviation over the seeds."""
    values = np.asarray(errors)
    if len(values) == 1:
        return [f"{value:.3f}" for value in values[0]]
    pairs = zip(values.mean(0), values.std(0, ddof=1), strict=True)
    return [f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in pairs]


def draw(runs: Sequence[Run], levels: dict[str, list[float]], options: argparse.Namespace) -> None:
    """Draws what the methods made of one seed."""
    given = test_sample(options, runs[0].seed)
    last = [name for name in levels if name.startswith(NAME)][-1]
    shown = {last: alone(given, options)[last]} | {run.method: answer(run, options)[1] for run in runs}
    markers = {name: cells(given.physics.forward(x)) for name, x in shown.items()}
    scales = {"x_l2": l2(given.x.values), "y_l2": l2(given.physics.marker - given.y.values)}
    lines = {name: dict(zip(scales, errors, strict=True)) for name, errors in levels.items() if name.endswith(" 6 ×")}
    figures = {
        "velocity": plot_velocities(cells(given.x), {name: cells(x) for name, x in shown.items()}),
        "marker": plot_markers(cells(given.physics.marker), cells(given.y), markers),
        "errors": plot_errors_over_time([run.record for run in runs], scales, lines),
    }
    for name, figure in figures.items():
        figure.savefig(options.output / f"{name}.png", dpi=150)


def l2(values: math.Tensor) -> float:
    """½ Σ values², a mean over the batch."""
    return float(math.stop_gradient(math.l2_loss(values)).mean)


def cells(values: Any) -> np.ndarray:
    """The first sample, axes (x, y) or (x, y, component)."""
    tensor = (values.values if isinstance(values, Field) else values).batch[0]
    return np.asarray(tensor.numpy(["x", "y", *tensor.shape.channel.names]))


if __name__ == "__main__":
    main()
