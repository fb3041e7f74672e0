"""
Initial heat from a few point sensors with noise of unknown size, by the inverse alone: a prior against stopping early.

    python examples/sensors.py              # 64² cells, 200 sensors: seconds
    python examples/sensors.py --sensors 50
    python examples/sensors.py --quick      # 16² cells, to see that everything works

`Sensors(HeatEquation(...), points, grid)` observes the final heat at the points. Its inverse is `GaussianProcess`: a
prior of Gaussian fields and σ, fitted to each observation, with the standard deviation of what is not known. Conjugate
gradients stop where the noise explains the rest, for which they are told σ. The states are random rectangles, which no
Gaussian field has. Writes `sensors.png` and `summary.md` to the output folder.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from heat_inversion import FLOW
from matplotlib.figure import Figure
from phi.field import Field
from phiml import math
from phiml.math import Tensor, batch, channel, instance, spatial
from rich.console import Console

from phi_sip import EmpiricalBayes, HeatEquation, Sensors, SipStep, sip_inverse
from phi_sip.data import heat_rectangles

TOLD = "conjugate gradients, σ told"
FITTED = "Gaussian process, σ fitted"
SHOWN = 3  # samples in the figure


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    cells, rng = 16 if options.quick else 64, np.random.default_rng(0)
    x = heat_rectangles(batch(samples=16), spatial(x=cells, y=cells), seed=0)
    at = rng.uniform(0, cells, (options.sensors, 2))
    points = math.tensor(at, instance("sensors"), channel(vector="x,y"))
    physics = Sensors(HeatEquation(1.0, options.amount), points, x)
    clean = physics.forward(x)
    noise = math.tensor(rng.normal(0, options.noise, clean.shape.sizes), *clean.shape)
    y_target, start = clean + noise, physics.initial_state(clean)
    told = Sensors(HeatEquation(1.0, options.amount, options.noise), points, x)
    steps = {
        TOLD: sip_inverse(told, y_target, start, solver="conjugate-gradient"),
        FITTED: sip_inverse(physics, y_target, start, solver="gaussian-process"),
    }
    summary = report(x, y_target, steps, options)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "summary.md").write_text(summary)
    draw(x, at, steps).savefig(options.output / "sensors.png", dpi=120)
    Console().print(f"{summary}\nWrote sensors.png and summary.md to {options.output}.")


def report(x: Field, y_target: Tensor, steps: dict[str, SipStep], options: argparse.Namespace) -> str:
    """Returns errors, σ and what the intervals cover as a Markdown table, beside the inverse of all cells."""
    whole = HeatEquation(1.0, options.amount, regularization=EmpiricalBayes())
    y = whole.forward(x)
    drawn = np.random.default_rng(1).normal(0, options.noise, y.values.shape.sizes)
    all_cells = sip_inverse(whole, y.with_values(y.values + math.tensor(drawn, *y.values.shape)), x * 0)
    lines = ["| | error of x ÷ its size | σ ÷ true | inside of 95 % intervals |", "| --- | --: | --: | --: |"]
    for name, step in {**steps, "all cells observed, empirical Bayes": all_cells}.items():
        error = cells_of(step.x_target) - cells_of(x)
        size = float(np.linalg.norm(error) / np.linalg.norm(cells_of(x)))
        cells = ["–", "–"]
        if step.uncertainty is not None:
            sigma = float(np.mean(step.stats["noise_std"].numpy(step.stats["noise_std"].shape)) / options.noise)
            inside = float(np.mean(np.abs(error) < 1.96 * cells_of(step.uncertainty)))
            cells = [f"{sigma:.2f}", f"{100 * inside:.0f} %"]
        lines.append(f"| {name} | {size:.3f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(x: Field, at: np.ndarray, steps: dict[str, SipStep]) -> Figure:
    """Draws states with the sensors, what was found, and the standard deviation."""
    figure = Figure(figsize=(12, 2.3 * SHOWN), layout="constrained")
    columns = {"true state, sensors": x, **{name: step.x_target for name, step in steps.items()}}
    drawn = steps[FITTED].posterior_samples(1).values.posterior_samples[0]
    columns["a state drawn of the posterior"] = x.with_values(drawn)
    axes = figure.subplots(SHOWN, len(columns) + 1)
    for i, row in enumerate(axes):
        highest = float(cells_of(x)[i].max())
        for axis, (name, state) in zip(row, columns.items(), strict=False):
            shown = axis.imshow(cells_of(state)[i].T, origin="lower", vmin=0, vmax=highest, cmap="inferno")
            axis.set_title(name if i == 0 else "", fontsize="medium")
        figure.colorbar(shown, ax=row[-2], shrink=0.8)
        row[0].plot(*(at.T - 0.5), ".", color="deepskyblue", markersize=2)
        deviation = cells_of(steps[FITTED].uncertainty)[i]
        shown = row[-1].imshow(deviation.T, origin="lower", cmap="viridis")
        row[-1].set_title("its standard deviation" if i == 0 else "", fontsize="medium")
        figure.colorbar(shown, ax=row[-1], shrink=0.8)
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
    return figure


def cells_of(state: Field) -> np.ndarray:
    """Returns values per cell, axes (samples, x, y)."""
    values: np.ndarray = state.values.numpy("samples,x,y")
    return values


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--sensors", type=int, default=200)
    parser.add_argument("--noise", type=float, default=1e-2, help="σ, in units of the state (default 1e-2)")
    parser.add_argument("--amount", type=float, default=2.0, help="ν·t in cells² (default 2)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("output/sensors"))
    options = parser.parse_args()
    if min(options.sensors, options.noise, options.amount) <= 0:
        parser.error("sensors, noise and amount must be positive")
    if options.quick:
        options.sensors = min(options.sensors, 40)
    return options


if __name__ == "__main__":
    main()
