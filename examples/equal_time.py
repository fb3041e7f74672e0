"""
Methods that train for the same processor time, each with the learning rate of its own that did best in short runs with
another seed: what `compare_optimizers.py` and `half_inverse.py` share.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from figures.comparison import level, plot_comparison
from inverse_alone import NAME, invert_alone
from phi.torch import TORCH
from phiml import math
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from phi_sip import InvertiblePhysics, NonFiniteError, sip_update_weights
from phi_sip.contract.solver import InverseSolver
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.records import TrainingRecord, save_records
from phi_sip.states import trees

TUNING_SEED = 1000
SYMBOLS = {"x_l2": "½ ‖x − x*‖²", "y_l2": "½ ‖y − y*‖²"}


class Sample(NamedTuple):
    """A batch that was not seen before: its physics, observations, and states, `None` if no state is the true one."""

    physics: InvertiblePhysics
    y_target: Any
    x_true: Any


@dataclass(frozen=True)
class Method:
    """
    How networks are trained.

    Attributes:
        make_optimizer: Makes it from the parameters and `lr`.
        rates: Learning rates to try.
        arguments: Of `sip_update_weights`.
        by_inverse: SIP, by the solver of the problem.
        plain: In a loop of its own, for optimizers that need more than gradients.
        create_graph: Whether the optimizer differentiates the gradient.
    """

    make_optimizer: Callable[..., torch.optim.Optimizer]
    rates: Sequence[float]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    by_inverse: bool = False
    plain: bool = False
    create_graph: bool = False


@dataclass(frozen=True)
class Problem:
    """
    What networks learn to invert.

    Attributes:
        make_sample: Makes a batch from a seed, the step and the number of samples.
        make_network: Makes the network of a seed.
        predict: x from the network and y*.
        methods: By name.
        batches: Samples of a batch for methods that have another number than `batch`.
        solver: Inverse of SIP, and of the inverse alone; `None`: that of the physics.
        measured: The error that is compared, `"x_l2"` or `"y_l2"`.
    """

    make_sample: Callable[[int, int, int], Sample]
    make_network: Callable[[int], Any]
    predict: Callable[[Any, Any], Any]
    methods: Mapping[str, Method]
    batch: int
    batches: Mapping[str, int] = field(default_factory=dict)
    solver: str | InverseSolver | None = None
    measured: str = "x_l2"

    def smaller(self) -> Problem:
        """The same with an eighth of the samples, at least two."""
        batches = {name: max(2, size // 8) for name, size in self.batches.items()}
        return replace(self, batch=max(2, self.batch // 8), batches=batches)


@dataclass
class Compared:
    """The learning rate of a method on a problem, and its runs, one for each seed."""

    rate: float
    runs: list[TrainingRecord]


Results = dict[str, dict[str, Compared]]


def add_arguments(
    parser: argparse.ArgumentParser, problems: Mapping[str, Problem], folder: str, seconds: float
) -> None:
    """Adds the flags that `compare` looks at."""
    parser.add_argument("--problems", nargs="+", choices=problems, default=list(problems), metavar="NAME")
    help = f"processor time per network (default {seconds:g})"
    parser.add_argument("--seconds", type=float, default=seconds, help=help)
    tuning = 0.3 * seconds
    help = f"and per learning rate to try (default {tuning:g})"
    parser.add_argument("--tuning-seconds", type=float, default=tuning, help=help)
    parser.add_argument("--seeds", type=int, default=3, help="networks per method (default 3)")
    parser.add_argument("--output", type=Path, default=Path(folder), help=f"folder (default {folder})")
    parser.add_argument("--quick", action="store_true", help="2 networks of 0.3 seconds, batches of an eighth")


def check_arguments(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.quick:
        options.seconds, options.tuning_seconds, options.seeds = 0.3, 0.05, 2
    if min(options.seconds, options.tuning_seconds, options.seeds) <= 0:
        parser.error("seconds, tuning-seconds and seeds must be positive")


def compare(problems: Mapping[str, Problem], options: argparse.Namespace) -> None:
    """Compares the methods of all problems, and reports what they came to; Ctrl-C keeps what was done so far."""
    math.use(TORCH)
    torch.set_num_threads(1)
    console = Console()
    chosen = {name: problems[name].smaller() if options.quick else problems[name] for name in options.problems}
    counts = ", ".join(f"{len(problem.methods)} methods on {name}" for name, problem in chosen.items())
    console.print(
        f"{counts}: {options.seeds} networks each, {options.seconds:g} s of processor time per network, and "
        f"{options.tuning_seconds:g} s for each learning rate to try"
    )
    results: Results = {name: {} for name in chosen}
    columns = (TextColumn("{task.description:>40}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with (
            math.precision(64),  # the physics, where data are in it; networks run in single precision
            interrupts_between_steps() as check_interrupt,
            Progress(*columns, console=console) as progress,
        ):
            task = progress.add_task("", total=sum(len(problem.methods) for problem in chosen.values()))
            for name, problem in chosen.items():
                for method in problem.methods:
                    progress.update(task, description=f"{name}: {method}")
                    results[name][method] = tuned_and_trained(problem, method, options, check_interrupt)
                    progress.advance(task)
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    results = {problem: found for problem, found in results.items() if found}
    if results:
        report(chosen, results, options, console)


def tuned_and_trained(
    problem: Problem, method: str, options: argparse.Namespace, check_interrupt: Callable[[], None]
) -> Compared:
    """Finds the best learning rate with a seed of its own, and trains with it."""

    def run(rate: float, seconds: float, seed: int) -> TrainingRecord:
        return train(problem, method, rate, seconds, seed, check_interrupt)

    def attained(rate: float) -> float:
        return level(run(rate, options.tuning_seconds, TUNING_SEED), problem.measured)

    rate = min(problem.methods[method].rates, key=attained)
    return Compared(rate, [run(rate, options.seconds, seed) for seed in range(options.seeds)])


def train(
    problem: Problem, method: str, rate: float, seconds: float, seed: int, check_interrupt: Callable[[], None]
) -> TrainingRecord:
    """Trains one network for `seconds`; one that diverges ends with infinite errors."""
    net, used = problem.make_network(seed), problem.methods[method]
    optimizer = used.make_optimizer(net.parameters(), lr=rate)
    update = plain_update if used.plain else sip_update
    record = TrainingRecord(method)
    while sum(record.seconds) < seconds:
        check_interrupt()
        sample = problem.make_sample(seed, len(record.seconds), problem.batches.get(method, problem.batch))
        start = time.process_time()
        try:
            errors = update(problem, used, net, optimizer, sample)
        except NonFiniteError:
            errors = {"x_l2": np.inf, "y_l2": np.inf}
        record.loss.append(np.nan)
        record.x_l2.append(errors.get("x_l2", np.nan))
        record.y_l2.append(errors["y_l2"])
        record.seconds.append(time.process_time() - start)
        if not np.isfinite(errors[problem.measured]):
            break
    return record


Errors = dict[str, float]  # ½ ‖x − x*‖², if x* is known, and ½ ‖y − y*‖² before an update


def sip_update(problem: Problem, method: Method, net: Any, optimizer: Any, sample: Sample) -> Errors:
    """By `sip_update_weights`: all that need nothing but what it gives an optimizer."""
    arguments = {"solver": problem.solver} if method.by_inverse else dict(method.arguments)
    update = sip_update_weights(
        net,
        optimizer,
        sample.physics,
        sample.y_target,
        predict=lambda y: problem.predict(net, y),
        x_true=sample.x_true,
        **arguments,
    )
    losses = {"y_l2": update.y_l2} if update.x_l2 is None else {"x_l2": update.x_l2, "y_l2": update.y_l2}
    return {name: float(loss.mean) for name, loss in losses.items()}


def plain_update(problem: Problem, method: Method, net: Any, optimizer: Any, sample: Sample) -> Errors:
    """DP with optimizers that evaluate the loss at several weights, or differentiate its gradient once more."""
    parameters = list(net.parameters())
    before: list[Errors] = []

    def closure() -> torch.Tensor:
        x = problem.predict(net, sample.y_target)
        y_l2 = trees.l2_loss(trees.subtract(sample.physics.forward(x), sample.y_target))
        if not before:
            losses = {"y_l2": y_l2}
            if sample.x_true is not None:
                losses["x_l2"] = trees.l2_loss(trees.subtract(x, sample.x_true))
            before.append({name: float(math.stop_gradient(loss).mean) for name, loss in losses.items()})
        loss = math.sum(y_l2, math.batch).native()
        gradients = torch.autograd.grad(loss, parameters, create_graph=method.create_graph)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    optimizer.step(closure)
    optimizer.zero_grad()
    if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
        raise NonFiniteError("The optimizer made weights non-finite.")
    return before[0]


def report(problems: Mapping[str, Problem], results: Results, options: argparse.Namespace, console: Console) -> None:
    """Prints the summaries and writes figure, records and summaries to the output folder."""
    options.output.mkdir(parents=True, exist_ok=True)
    with math.precision(64):
        alone = {name: [error_alone(problems[name], seed) for seed in range(options.seeds)] for name in results}
    summaries = [print_table(name, problems[name], found, alone[name], console) for name, found in results.items()]
    (options.output / "summary.md").write_text("\n".join(summaries))
    runs = {name: [run for c in found.values() for run in c.runs] for name, found in results.items()}
    save_records([run for found in runs.values() for run in found], options.output / "records.json")
    levels = {name: float(np.mean([error for error, _ in found])) for name, found in alone.items()}
    figure = plot_comparison(runs, levels, {name: problems[name].measured for name in runs})
    figure.savefig(options.output / "comparison.png", dpi=150)
    console.print(f"comparison.png, records.json and summary.md are in {options.output}")


def error_alone(problem: Problem, seed: int) -> tuple[float, float]:
    """
    The error of the inverse that SIP uses, without a network, on the first samples that networks see, and its seconds
    of processor time.
    """
    physics, y_target, x_true = problem.make_sample(seed, 0, problem.batch)
    start = time.process_time()
    x = invert_alone(physics, y_target, solver=problem.solver)
    seconds = time.process_time() - start
    found, true = (x, x_true) if problem.measured == "x_l2" else (physics.forward(x), y_target)
    return float(trees.l2_loss(trees.subtract(found, true)).mean), seconds


def print_table(
    name: str,
    problem: Problem,
    found: dict[str, Compared],
    alone: Sequence[tuple[float, float]],
    console: Console,
) -> str:
    """Prints the comparison on one problem, with the errors of the inverse alone, and returns it as Markdown."""
    measured = problem.measured
    finite = [run for compared in found.values() for run in compared.runs if np.isfinite(level(run, measured))]
    steps = min((len(run.seconds) for run in finite), default=1)
    rows = [["method", "samples", "learning rate", "ms a step", "error, same time", f"error, {steps} steps"]]
    for method, compared in found.items():
        milliseconds = 1000 * np.median([second for run in compared.runs for second in run.seconds])
        spread = [mean_and_spread([level(run, measured, end) for run in compared.runs]) for end in (None, steps)]
        samples = problem.batches.get(method, problem.batch)
        rows.append([method, f"{samples}", f"{compared.rate:g}", f"{milliseconds:.0f}", *spread])
    milliseconds = 1000 * np.median([seconds for _, seconds in alone])
    error = mean_and_spread([error for error, _ in alone])
    rows.append([f"the {NAME}", f"{problem.batch}", "", f"{milliseconds:.0f}", error, error])
    title = f"{name}: {SYMBOLS[measured]} on samples not seen before, mean ± standard deviation over seeds"
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, justify="left" if column == "method" else "right")
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
