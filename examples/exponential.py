"""
Train a network to invert y = exp(x) for x from −12 to 0, without labels: scale-invariant (SIP) against gradients (DP).

The example of Fig. 2 of arXiv 2109.15048 with `phi_sip`. y covers five decades, and the gradient of ½ (y − y*)² in x
is y (y − y*): it vanishes where y is small, and x = −12 costs as little as x = −6. SIP inverts in closed form, and by
Gauss–Newton, which needs nothing but derivatives. The network is given y*^¼ in place of y*, for all methods: a
network of this size that is given y* itself does not tell small ones apart, and SIP ends 40 times worse, only 6 times
better than DP. DP ends above what a network that always answers −6 has (x L1 3): the gradient pushes all x down to
where it vanishes. Writes figures, `records.json`, `l1.json` and `summary.md` to the output folder. Ctrl-C keeps what
was done so far.

    python examples/exponential.py                          # minutes
    python examples/exponential.py --framework tensorflow
    python examples/exponential.py --quick                  # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from heat_inversion import FLOW, adam, seed_everything, train
from inverse_alone import NAME
from l1 import Run, absolute_error, mean_error, plot_l1, report
from matplotlib.figure import Figure
from phiml import math, nn
from phiml.math import Tensor, batch, channel
from rich.console import Console

from phi_sip import Exponential
from phi_sip.plots import STYLES
from phi_sip.plots.style import draw_level
from phi_sip.records import TrainingRecord

METHODS = {"SIP": None, "DP": "gradient", "SIP, Gauss–Newton": "gauss-newton"}  # solver
LOWEST = -12.0
LEARNING_RATE = 1e-3


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    console = Console()
    console.print(
        f"y = exp(x) on {options.framework}: x from {LOWEST:g} to 0, batch {options.batch}, {options.steps} steps of "
        f"{', '.join(METHODS)}"
    )
    runs: list[Run] = []
    try:
        for method, solver in METHODS.items():
            runs.append(Run(TrainingRecord(method)))
            steps = train(
                {"solver": solver},
                runs[-1].record,
                Exponential(),
                options,
                console,
                data=make_data,
                network=make_network,
                predict=predict,
            )
            runs[-1].follow(steps)
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    runs = [run for run in runs if run.l1]
    if runs:
        alone = mean_error(runs[0].inverted(Exponential()))
        figures = {"training": plot_l1(runs, alone), "error_vs_x": plot_error_against_x(runs, alone)}
        report(runs, alone, figures, options.output, console)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--steps", type=int, default=1000, help="weight updates per method (default 1000)")
    parser.add_argument("--batch", type=int, default=256, help="samples per update (default 256)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and initial weights (default 0)")
    parser.add_argument("--output", type=Path, default=Path("results/exponential"), help="default results/exponential")
    parser.add_argument("--quick", action="store_true", help="12 steps of batch 64")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.batch = 12, 64
    if min(options.steps, options.batch) <= 0:
        parser.error("steps and batch must be positive")
    return options


def make_network(framework: str, seed: int) -> tuple[Any, Any]:
    """The same for all methods."""
    seed_everything(framework, seed)
    with math.precision(32):
        net = nn.mlp(1, 1, [64, 64, 64])
    return net, adam(net, framework, LEARNING_RATE)


def make_data(physics: Exponential, options: argparse.Namespace, step: int) -> tuple[Tensor, Tensor]:
    """Unseen samples, uniform in x, the same for every method and framework."""
    rng = np.random.default_rng([options.seed, step])
    x = math.tensor(rng.uniform(LOWEST, 0, options.batch).astype(np.float32), batch("batch"))
    return x, physics.forward(x)


def predict(net: Any, y: Tensor) -> Tensor:
    """x from y^¼."""
    return math.native_call(net, math.expand(y**0.25, channel(vector=1)))


def plot_error_against_x(runs: Sequence[Run], alone: float) -> Figure:
    """The error of the last steps in intervals of x*, and that of the inverse alone, which is the same everywhere."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(LOWEST, 0, 25)
    for run, (color, style) in zip(runs, STYLES, strict=False):
        truth = np.concatenate([x_true.numpy("batch") for _, x_true, _ in run.last])
        errors = np.concatenate([absolute_error(x, x_true) for x, x_true, _ in run.last])
        bins = np.digitize(truth, edges[1:-1])
        used = np.unique(bins)
        means = [errors[bins == b].mean() for b in used]
        axes.plot(
            (edges[used] + edges[used + 1]) / 2, means, color=color, linestyle=style, lw=2, label=run.record.method
        )
    draw_level(axes, alone, f"the {NAME}")
    axes.set(xlabel="x* = log y*", ylabel="mean |x − x*|", yscale="log", xlim=(LOWEST, 0))
    axes.grid(True, which="both", alpha=0.25)
    axes.legend()
    return figure


if __name__ == "__main__":
    main()
