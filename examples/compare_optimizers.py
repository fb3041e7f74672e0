"""
Tests whether a better optimizer makes up for a bad gradient: SIP with Adam against DP with many other optimizers.

DP is training through the physics, by SGD with momentum, Adam, Adadelta, Adagrad, RMSprop, L-BFGS and AdaHessian. The
problems are heat conduction (a u-net, 32² cells) and the rotated sine (ξ = 32, φ = 45°; a small dense network). Every
method has the learning rate of its own that did best in short runs with another seed. All train for the same processor
time on one thread, so that other programs do not matter; the errors are those on samples not seen before. L-BFGS
evaluates the loss at several weights, AdaHessian differentiates its gradient: these run in a plain loop, all others
through `sip_update_weights`. Writes a figure, `records.json` and `summary.md` to the output folder. Ctrl-C keeps what
was done so far.

Needs PyTorch and pytorch-optimizer: pip install ".[compare]"

    python examples/compare_optimizers.py                   # 6 minutes
    python examples/compare_optimizers.py --seconds 30      # half an hour
    python examples/compare_optimizers.py --quick           # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures.comparison import level, plot_comparison
from inverse_alone import NAME, invert_alone
from phi.field import Field
from phi.torch import TORCH
from phiml import math, nn
from phiml.math import batch, spatial
from pytorch_optimizer import AdaHessian
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rotated_sine import HARDEST, make_data, make_network, predict

from phi_sip import (
    HeatEquation,
    InvertiblePhysics,
    NonFiniteError,
    ProbabilisticDamping,
    SaddleFreeNewton,
    sip_update_weights,
)
from phi_sip.contract.solver import InverseSolver
from phi_sip.data import heat_rectangles
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.records import TrainingRecord, save_records
from phi_sip.states import trees

TUNING_SEED = 1000


@dataclass(frozen=True)
class Problem:
    """A physics, the network that is to invert it, and its data; `solver` is the inverse of SIP."""

    physics: InvertiblePhysics
    solver: InverseSolver | None
    make_network: Callable[[int], Any]
    make_data: Callable[[int, int], Any]
    predict: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Method:
    """An optimizer and the learning rates to try. `through_physics`: DP; `plain`: in a loop of its own."""

    make_optimizer: Callable[..., torch.optim.Optimizer]
    rates: Sequence[float]
    through_physics: bool = True
    plain: bool = False


def heat_network(seed: int) -> Any:
    math.seed(seed)
    with math.precision(32):
        return nn.u_net(1, 1, levels=3, filters=8, periodic=True)


def heat_data(seed: int, step: int) -> Field:
    return heat_rectangles(batch(batch=16), spatial(x=32, y=32), seed=100_000 * seed + step)


def heat_prediction(net: Any, y: Field) -> Field:
    with math.precision(32):
        x = y.with_values(math.native_call(net, math.to_float(y.values)))
    return HEAT.constrain(trees.cast(x, 64), y)


HEAT = HeatEquation(1.0, 8.0, regularization=ProbabilisticDamping())  # the cheapest rule: y* has no noise
PROBLEMS = {
    "heat conduction": Problem(HEAT, None, heat_network, heat_data, heat_prediction),
    "rotated sine": Problem(
        HARDEST.physics,
        SaddleFreeNewton(),
        lambda seed: make_network("torch", seed),
        lambda seed, step: make_data(100, seed, step),
        lambda net, y: trees.cast(predict(net, HARDEST.condition, y), 64),
    ),
}
ADAPTIVE = (3e-4, 1e-3, 3e-3, 1e-2)
METHODS = {
    "SIP, Adam": Method(torch.optim.Adam, ADAPTIVE, through_physics=False),
    "DP, SGD with momentum": Method(
        lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9), (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
    ),
    "DP, Adam": Method(torch.optim.Adam, ADAPTIVE),
    "DP, Adadelta": Method(torch.optim.Adadelta, (0.1, 1.0, 10.0, 100.0)),
    "DP, Adagrad": Method(torch.optim.Adagrad, (1e-3, 1e-2, 3e-2, 1e-1)),
    "DP, RMSprop": Method(torch.optim.RMSprop, ADAPTIVE),
    "DP, L-BFGS": Method(
        lambda parameters, lr: torch.optim.LBFGS(parameters, lr, max_iter=5, line_search_fn="strong_wolfe"),
        (0.01, 0.1, 1.0),
        plain=True,
    ),
    "DP, AdaHessian": Method(AdaHessian, (1e-2, 3e-2, 1e-1, 3e-1, 1.0), plain=True),
}


@dataclass
class Compared:
    """The learning rate of a method on a problem, and its runs, one for each seed."""

    rate: float
    runs: list[TrainingRecord]


Results = dict[str, dict[str, Compared]]


def main() -> None:
    options = parse_arguments()
    math.use(TORCH)
    torch.set_num_threads(1)
    console = Console()
    console.print(
        f"{len(METHODS)} methods on {' and '.join(PROBLEMS)}: {options.seeds} networks each, {options.seconds:g} s of "
        f"processor time per network, and {options.tuning_seconds:g} s for each learning rate to try"
    )
    results: Results = {name: {} for name in PROBLEMS}
    columns = (TextColumn("{task.description:>40}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with (
            math.precision(64),  # the physics; networks run in single precision
            interrupts_between_steps() as check_interrupt,
            Progress(*columns, console=console) as progress,
        ):
            task = progress.add_task("", total=len(PROBLEMS) * len(METHODS))
            for problem in PROBLEMS:
                for method in METHODS:
                    progress.update(task, description=f"{problem}: {method}")
                    results[problem][method] = compare(problem, method, options, check_interrupt)
                    progress.advance(task)
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    results = {problem: found for problem, found in results.items() if found}
    if results:
        report(results, options, console)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time per network (default 5)")
    parser.add_argument("--tuning-seconds", type=float, default=1.5, help="and per learning rate to try (default 1.5)")
    parser.add_argument("--seeds", type=int, default=3, help="networks per method (default 3)")
    folder = Path("results/optimizers")
    parser.add_argument("--output", type=Path, default=folder, help=f"folder (default {folder})")
    parser.add_argument("--quick", action="store_true", help="2 networks of 0.3 seconds, 0.05 per learning rate")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.tuning_seconds, options.seeds = 0.3, 0.05, 2
    if min(options.seconds, options.tuning_seconds, options.seeds) <= 0:
        parser.error("seconds, tuning-seconds and seeds must be positive")
    return options


def compare(problem: str, method: str, options: argparse.Namespace, check_interrupt: Callable[[], None]) -> Compared:
    """Finds the best learning rate with a seed of its own, and trains with it."""

    def run(rate: float, seconds: float, seed: int) -> TrainingRecord:
        return train(PROBLEMS[problem], method, rate, seconds, seed, check_interrupt)

    def attained(rate: float) -> float:
        return level(run(rate, options.tuning_seconds, TUNING_SEED))

    rate = min(METHODS[method].rates, key=attained)
    return Compared(rate, [run(rate, options.seconds, seed) for seed in range(options.seeds)])


def train(
    problem: Problem, method: str, rate: float, seconds: float, seed: int, check_interrupt: Callable[[], None]
) -> TrainingRecord:
    """Trains one network for `seconds`; one that diverges ends with infinite errors."""
    net = problem.make_network(seed)
    optimizer = METHODS[method].make_optimizer(net.parameters(), lr=rate)
    update = plain_update if METHODS[method].plain else sip_update
    record = TrainingRecord(method)
    while sum(record.seconds) < seconds:
        check_interrupt()
        x = problem.make_data(seed, len(record.seconds))
        y_target = problem.physics.forward(x)
        start = time.process_time()
        try:
            x_l2, y_l2 = update(problem, METHODS[method], net, optimizer, x, y_target)
        except NonFiniteError:
            x_l2, y_l2 = np.inf, np.inf
        record.loss.append(np.nan)
        record.x_l2.append(x_l2)
        record.y_l2.append(y_l2)
        record.seconds.append(time.process_time() - start)
        if not np.isfinite(x_l2):
            break
    return record


Update = tuple[float, float]  # ½ ‖x − x*‖² and ½ ‖y − y*‖² before it


def sip_update(problem: Problem, method: Method, net: Any, optimizer: Any, x_true: Any, y_target: Any) -> Update:
    """By `sip_update_weights`: SIP, and DP with the optimizers that need nothing but the gradient."""
    update = sip_update_weights(
        net,
        optimizer,
        problem.physics,
        y_target,
        predict=lambda y: problem.predict(net, y),
        solver="gradient" if method.through_physics else problem.solver,
        x_true=x_true,
    )
    return float(update.x_l2.mean), float(update.y_l2.mean)


def plain_update(problem: Problem, method: Method, net: Any, optimizer: Any, x_true: Any, y_target: Any) -> Update:
    """DP with optimizers that evaluate the loss at several weights, or differentiate its gradient once more."""
    parameters = list(net.parameters())
    before: list[Update] = []

    def closure() -> torch.Tensor:
        x = problem.predict(net, y_target)
        y_l2 = trees.l2_loss(trees.subtract(problem.physics.forward(x), y_target))
        if not before:
            losses = trees.l2_loss(trees.subtract(x, x_true)), y_l2
            before.append(tuple(float(math.stop_gradient(loss).mean) for loss in losses))
        loss = math.sum(y_l2, math.batch).native()
        gradients = torch.autograd.grad(loss, parameters, create_graph=isinstance(optimizer, AdaHessian))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    optimizer.step(closure)
    optimizer.zero_grad()
    if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
        raise NonFiniteError("The optimizer made weights non-finite.")
    return before[0]


def report(results: Results, options: argparse.Namespace, console: Console) -> None:
    """Prints the summaries and writes figure, records and summaries to the output folder."""
    options.output.mkdir(parents=True, exist_ok=True)
    with math.precision(64):
        alone = {
            problem: [error_alone(PROBLEMS[problem], seed) for seed in range(options.seeds)] for problem in results
        }
    summaries = [print_table(problem, found, alone[problem], console) for problem, found in results.items()]
    (options.output / "summary.md").write_text("\n".join(summaries))
    runs = {problem: [run for c in found.values() for run in c.runs] for problem, found in results.items()}
    save_records([run for found in runs.values() for run in found], options.output / "records.json")
    plot_comparison(runs, {problem: float(np.mean(errors)) for problem, errors in alone.items()}).savefig(
        options.output / "comparison.png", dpi=150
    )
    console.print(f"comparison.png, records.json and summary.md are in {options.output}")


def error_alone(problem: Problem, seed: int) -> float:
    """½ ‖x − x*‖² of the inverse that SIP uses, without a network, on the first samples that networks see."""
    x_true = problem.make_data(seed, 0)
    x = invert_alone(problem.physics, problem.physics.forward(x_true), solver=problem.solver)
    return float(trees.l2_loss(trees.subtract(x, x_true)).mean)


def print_table(problem: str, found: dict[str, Compared], alone: Sequence[float], console: Console) -> str:
    """Prints the comparison on one problem, with the errors of the inverse alone, and returns it as Markdown."""
    steps = min(len(run.x_l2) for compared in found.values() for run in compared.runs if np.isfinite(run.x_l2).all())
    rows = [["method", "learning rate", "ms a step", "x loss, same time", f"x loss, {steps} steps"]]
    for method, compared in found.items():
        milliseconds = 1000 * np.median([second for run in compared.runs for second in run.seconds])
        spread = [mean_and_spread([level(run, end) for run in compared.runs]) for end in (None, steps)]
        rows.append([method, f"{compared.rate:g}", f"{milliseconds:.0f}", *spread])
    rows.append([f"the {NAME}", "", "", *[mean_and_spread(alone)] * 2])
    title = f"{problem}: ½ ‖x − x*‖² on samples not seen before, mean ± standard deviation over seeds"
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join([title, "", *lines, ""])


def mean_and_spread(values: Sequence[float]) -> str:
    if not np.isfinite(values).all():
        return f"diverged, {sum(not np.isfinite(value) for value in values)} of {len(values)}"
    return f"{np.mean(values):.3g} ± {np.std(values):.1g}"


if __name__ == "__main__":
    main()
