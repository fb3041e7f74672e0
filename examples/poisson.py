"""
Train a network to find the source x of a potential y = ∇⁻²x, without labels: scale-invariant (SIP) against DP.

The Poisson experiment of arXiv 2109.15048 with `phi_sip`, on random rectangles. The inverse x̃ = x − ∇²(y − y*) is
exact. Differentiable physics (DP) is Adam through ∇⁻², whose gradient hardly sees short waves. For all methods the
network is given y* divided by its typical size. Writes figures, `records.json`, `l1.json` and `summary.md` to the
output folder. Ctrl-C keeps what was done so far.

    python examples/poisson.py                          # 100 steps each of SIP, DP and with labels: minutes
    python examples/poisson.py --framework tensorflow
    python examples/poisson.py --quick                  # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from heat_inversion import FLOW, METHODS, train
from inverse_alone import NAME
from l1 import Run, absolute_error, mean_error, plot_l1, report
from matplotlib.figure import Figure
from phi.field import Field
from phiml import math
from phiml.math import batch, spatial
from rich.console import Console

from phi_sip import Poisson
from phi_sip.data import heat_rectangles
from phi_sip.records import TrainingRecord
from phi_sip.step.network import call_network


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    console = Console()
    console.print(
        f"Poisson's equation on {options.framework}: {options.resolution}² cells, batch {options.batch}, "
        f"{options.steps} steps of {', '.join(METHODS)}"
    )
    physics = Poisson()
    predict = make_predict(physics, options)
    runs: list[Run] = []
    try:
        for method, arguments in METHODS.items():
            runs.append(Run(TrainingRecord(method)))
            steps = train(arguments, runs[-1].record, physics, options, console, data=make_data, predict=predict)
            runs[-1].follow(steps)
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    runs = [run for run in runs if run.l1]
    if runs:
        alone = runs[0].inverted(physics)
        error = mean_error(alone)
        figures = {"training": plot_l1(runs, error), "reconstructions": plot_sources(runs, alone[-1][0])}
        report(runs, error, figures, options.output, console)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--steps", type=int, default=100, help="weight updates per method (default 100)")
    parser.add_argument("--batch", type=int, default=32, help="samples per update (default 32)")
    parser.add_argument("--resolution", type=int, default=64, help="cells per axis, a multiple of 8 (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and initial weights (default 0)")
    parser.add_argument("--output", type=Path, default=Path("results/poisson"), help="folder (default results/poisson)")
    parser.add_argument("--quick", action="store_true", help="12 steps of batch 8 at 32² cells")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.batch, options.resolution = 12, 8, 32
    if options.resolution % 8 or min(options.steps, options.batch, options.resolution) <= 0:
        parser.error("steps and batch must be positive, resolution a positive multiple of 8")
    return options


def make_data(physics: Poisson, options: argparse.Namespace, step: int) -> tuple[Field, Field]:
    """Unseen sources without a mean, the same for every method and framework."""
    n = options.resolution
    x = heat_rectangles(batch(batch=options.batch), spatial(x=n, y=n), seed=100_000 * options.seed + step)
    x = physics.constrain(x, x)
    return x, physics.forward(x)


def make_predict(physics: Poisson, options: argparse.Namespace) -> Callable[[Any, Field], Field]:
    """Makes the call of networks: on y* in units of its standard deviation over other samples; x gets the mean 0."""
    _, y = make_data(physics, options, step=99_999)
    unit = float(math.std(y.values, y.values.shape))

    def predict(net: Any, y: Field) -> Field:
        return physics.constrain(call_network(net, y / unit), y)

    return predict


def plot_sources(runs: Sequence[Run], alone: Field) -> Figure:
    """What each method, and the inverse alone, makes of the sample of the first's median error, with errors below."""
    _, x_true, y_target = runs[0].last[-1]
    errors = absolute_error(runs[0].last[-1][0], x_true).reshape(x_true.values.shape.get_size("batch"), -1).mean(1)
    typical = int(np.argsort(errors)[len(errors) // 2])
    truth, observation = (state.values.batch[typical].numpy("x,y") for state in (x_true, y_target))
    # An interrupted method has seen other samples last: show those that ended on the same.
    found = {NAME: alone.values.batch[typical].numpy("x,y")} | {
        run.record.method: run.last[-1][0].values.batch[typical].numpy("x,y")
        for run in runs
        if len(run.l1) == len(runs[0].l1)
    }
    figure = Figure(figsize=(2.6 * (2 + len(found)), 5.2), layout="constrained")
    grid = figure.subplots(2, 2 + len(found))
    largest = np.abs(truth).max()
    largest_error = max(np.abs(x - truth).max() for x in found.values())
    scales = {"potential y* (own colours)": (observation, np.abs(observation).max()), "source x*": (truth, largest)}
    scales |= {name: (x, largest) for name, x in found.items()}
    for column, (name, (values, scale)) in enumerate(scales.items()):
        image = show(grid[0, column], values, scale, name)
        if name not in found:
            grid[1, column].axis("off")
            continue
        error = show(
            grid[1, column], values - truth, largest_error, f"mean |x − x*| = {np.abs(values - truth).mean():.2g}"
        )
    figure.colorbar(image, ax=grid[0, :], label="x", shrink=0.9)
    figure.colorbar(error, ax=grid[1, :], label="x − x*", shrink=0.9)
    return figure


def show(axes: Any, values: np.ndarray, largest: float, title: str) -> Any:
    axes.set(xticks=[], yticks=[], title=title)
    return axes.imshow(values.T, origin="lower", cmap="RdBu_r", vmin=-largest, vmax=largest)


if __name__ == "__main__":
    main()
