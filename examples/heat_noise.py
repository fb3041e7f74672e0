"""
Shows what noise does to the inversion of heat conduction, and how well each regularization rule deals with it.

Inverts noisy observations with all rules, trains networks with two of them, through the physics and with labels, shows
these beside the inverses alone, and checks the uncertainty. Writes four figures, `records.json`, `errors.json` and
`summary.md` to the output folder. Ctrl-C while training keeps what was done so far.

    python examples/heat_noise.py                               # minutes on two cores
    python examples/heat_noise.py --noise 1e-2 --framework torch
    python examples/heat_noise.py --quick                       # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from figures.noise import coverage, plot_error_against_noise, plot_rules, plot_uncertainty
from heat_inversion import FLOW, InverseAlone, inverse_alone, train
from inverse_alone import NAME
from matplotlib.figure import Figure
from phi.field import CenteredGrid, Field
from phiml import math
from phiml.math import batch, extrapolation, spatial
from rich.console import Console
from rich.table import Table

from phi_sip import (
    CrossValidated,
    EmpiricalBayes,
    HeatEquation,
    Labels,
    ProbabilisticDamping,
    PublishedDamping,
    Regularization,
    SipStep,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Wiener,
    sip_inverse,
)
from phi_sip.data import heat_rectangles, smooth_fields
from phi_sip.plots import plot_losses
from phi_sip.records import TrainingRecord, save_records

DIFFUSIVITY, TIME = 1.0, 8.0
NOISE = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
EDGES = TotalVariation(minimum=0.0)
LAST = 20  # steps that final errors are means over
INSULATED = extrapolation.ZERO_GRADIENT


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    console = Console()
    options.output.mkdir(parents=True, exist_ok=True)
    with math.precision(64):  # the physics; networks run in single precision
        rules = all_physics(options)
        errors, bound = errors_against_noise(rules, options, console)
        figures = {
            "error_vs_noise": plot_error_against_noise(NOISE, errors, bound),
            "reconstructions": reconstructions(rules, options),
            "uncertainty": uncertainty(options),
        }
        for name, figure in figures.items():
            save(figure, name, options)
        report_errors(errors, bound, options, console)
        report_training(*train_all(options, console), options, console)
    console.print(f"Figures, records.json, errors.json and summary.md are in {options.output}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="tensorflow")
    parser.add_argument("--samples", type=int, default=64, help="observations to invert per noise level (default 64)")
    parser.add_argument("--steps", type=int, default=100, help="weight updates per method (default 100)")
    parser.add_argument("--batch", type=int, default=32, help="samples per update (default 32)")
    parser.add_argument("--resolution", type=int, default=64, help="cells per axis, a multiple of 8 (default 64)")
    parser.add_argument("--noise", type=float, default=1e-3, help="σ > 0 where one level is shown (default 1e-3)")
    parser.add_argument("--seed", type=int, default=0, help="seed of data and initial weights (default 0)")
    parser.add_argument("--output", type=Path, default=Path("results/noise"), help="folder (default results/noise)")
    parser.add_argument("--quick", action="store_true", help="8 samples, 8 steps of batch 8, at 32² cells")
    options = parser.parse_args()
    if options.quick:
        options.samples, options.steps, options.batch, options.resolution = 8, 8, 8, 32
    numbers = options.samples, options.steps, options.batch, options.resolution, options.noise
    if options.resolution % 8 or min(numbers) <= 0:
        parser.error("samples, steps, batch and noise must be positive, resolution a positive multiple of 8")
    return options


def all_physics(options: argparse.Namespace) -> dict[str, HeatEquation]:
    """Heat conduction with each rule; the published one is not told the noise, all others measure it in y*."""
    typical = heat_rectangles(batch(batch=256), cells(options), seed=options.seed + 2)
    rules = {
        "total variation, x ≥ 0": EDGES,
        "total variation": TotalVariation(),
        "cross-validated (default)": CrossValidated(),
        "empirical Bayes": EmpiricalBayes(),
        "Wiener, fitted to batch": Wiener(),
        "Wiener, measured spectrum": Wiener.from_samples(typical),
        "Tikhonov, GCV": Tikhonov(),
        "truncated SVD, GCV": TruncatedSVD(),
        "probabilistic damping": ProbabilisticDamping(),
    }
    physics = {name: HeatEquation(DIFFUSIVITY, TIME, regularization=rule) for name, rule in rules.items()}
    published = HeatEquation(DIFFUSIVITY, TIME, noise_std=0.0, regularization=PublishedDamping())
    return {**physics, "published damping": published}


def cells(options: argparse.Namespace) -> Any:
    return spatial(x=options.resolution, y=options.resolution)


def observe(x: Field, noise: float, seed: int) -> Field:
    """y* = P(x) + noise."""
    y = HeatEquation(DIFFUSIVITY, TIME).forward(x)
    drawn = noise * np.random.default_rng([seed, 1]).standard_normal(array(y).shape)
    return y + math.tensor(drawn, batch("batch"), spatial("x,y"))


def invert(physics: HeatEquation, y_target: Field) -> SipStep:
    """From the mean of y*, as nothing else is known."""
    return sip_inverse(physics, y_target, physics.constrain(y_target * 0, y_target))


def array(field: Field) -> np.ndarray:
    return field.values.numpy("batch,x,y")


def relative_error(step: SipStep, x: Field) -> float:
    """‖x̃ − x*‖ / ‖x* − mean x*‖ over all samples."""
    truth = array(x)
    fluctuation = truth - truth.mean((1, 2), keepdims=True)
    return float(np.linalg.norm(array(step.x_target) - truth) / np.linalg.norm(fluctuation))


def errors_against_noise(
    rules: dict[str, HeatEquation], options: argparse.Namespace, console: Console
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Error per rule and σ; and the linear bound: the Wiener filter with the true spectrum and the true σ."""
    x = heat_rectangles(batch(batch=options.samples), cells(options), seed=options.seed)
    found: dict[str, list[float]] = {name: [] for name in rules}
    bound = []
    with console.status("inverting"):
        for noise in NOISE:
            y_target = observe(x, noise, options.seed)
            oracle = HeatEquation(DIFFUSIVITY, TIME, noise, Wiener.from_samples(x))
            bound.append(relative_error(invert(oracle, y_target), x))
            for name, physics in rules.items():
                found[name].append(relative_error(invert(physics, y_target), x))
    return {name: np.array(values) for name, values in found.items()}, np.array(bound)


def reconstructions(rules: dict[str, HeatEquation], options: argparse.Namespace) -> Figure:
    x = heat_rectangles(batch(batch=options.batch), cells(options), seed=options.seed)
    y_target = observe(x, options.noise, options.seed)
    estimates = {name: array(invert(physics, y_target).x_target)[0] for name, physics in rules.items()}
    return plot_rules(array(x)[0], array(y_target)[0], estimates)


def uncertainty(options: argparse.Namespace) -> Figure:
    """Of empirical Bayes: a map for heat that is insulated along x and held at 0 along y, and its coverage."""
    dims = batch(batch=options.samples), cells(options)
    periodic = {
        "smooth fields": smooth_fields(*dims, mean=0.0, seed=options.seed),
        "rectangles": heat_rectangles(*dims, seed=options.seed),
    }
    boundary = {"x": INSULATED, "y": 0}
    bounded = CenteredGrid(periodic["rectangles"].values, boundary, resolution=cells(options))
    deviations = {
        name: deviation(x, options) for name, x in {**periodic, "rectangles, insulated and fixed": bounded}.items()
    }
    error, std = deviations["rectangles, insulated and fixed"]
    calibration = {name: coverage(error / std) for name, (error, std) in deviations.items()}
    return plot_uncertainty(error[0], std[0], calibration)


def deviation(x: Field, options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Error and uncertainty of empirical Bayes."""
    physics = HeatEquation(DIFFUSIVITY, TIME, regularization=EmpiricalBayes())
    step = invert(physics, observe(x, options.noise, options.seed))
    return array(step.x_target) - array(x), array(step.uncertainty)


def train_all(options: argparse.Namespace, console: Console) -> tuple[list[TrainingRecord], dict[str, InverseAlone]]:
    """All methods from the same weights, on the same data; and the inverses alone on the last of these."""
    methods: dict[str, tuple[Regularization | None, dict[str, Any]]] = {
        "SIP, default": (None, {}),
        "SIP, total variation, x ≥ 0": (EDGES, {}),
        "DP": (None, {"solver": "gradient"}),
        "supervised": (None, {"targets": Labels()}),
    }
    records: list[TrainingRecord] = []
    last: list[tuple[Field, Field]] = []
    try:
        for name, (rule, method) in methods.items():
            records.append(TrainingRecord(name))
            physics = HeatEquation(DIFFUSIVITY, TIME, regularization=rule)
            for _, x_true, y_target in train(method, records[-1], physics, options, console):
                if len(records) == 1:
                    last = [*last[1 - LAST :], (x_true, y_target)]
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    records = [record for record in records if record.x_l2]
    if not records:
        return [], {}
    alone = {f"{NAME}, default": mean_alone(None, last), f"{NAME}, total variation, x ≥ 0": mean_alone(EDGES, last)}
    return records, alone


def mean_alone(rule: Regularization | None, pairs: list[tuple[Field, Field]]) -> InverseAlone:
    """The inverse of the last observations, and its mean errors over all."""
    physics = HeatEquation(DIFFUSIVITY, TIME, regularization=rule)
    found = [inverse_alone(physics, x_true, y_target) for x_true, y_target in pairs]
    x_l2, y_l2 = (float(np.mean([getattr(alone, quantity) for alone in found])) for quantity in ("x_l2", "y_l2"))
    return InverseAlone(found[-1].x, x_l2, y_l2)


def save(figure: Figure, name: str, options: argparse.Namespace) -> None:
    figure.savefig(options.output / f"{name}.png", dpi=150)


def report_errors(
    errors: dict[str, np.ndarray], bound: np.ndarray, options: argparse.Namespace, console: Console
) -> None:
    rows = [["σ", *(f"{noise:g}" for noise in NOISE)]]
    for name, values in {"linear bound": bound, **errors}.items():
        rows.append([name, *(f"{value:.3g}" for value in values)])
    title = "Relative error of the inversion"
    (options.output / "summary.md").write_text(print_table(title, rows, console))
    found = {name: values.tolist() for name, values in errors.items()}
    results = {"noise": NOISE, "linear bound": bound.tolist(), "rules": found}
    (options.output / "errors.json").write_text(json.dumps(results, indent=1))


def report_training(
    records: list[TrainingRecord], alone: dict[str, InverseAlone], options: argparse.Namespace, console: Console
) -> None:
    if not records:
        return
    levels = {name: found.x_l2 for name, found in alone.items()}
    save(plot_losses(records, "x_l2", smooth=2, levels=levels), "training", options)
    save_records(records, options.output / "records.json")
    rows = [["method", "steps", "x loss", "y loss", "seconds a step"]]
    for r in records:
        losses = f"{r.final('x_l2', LAST):.2f}", f"{r.final('y_l2', LAST):.4f}"
        rows.append([r.method, str(len(r.x_l2)), *losses, f"{np.median(r.seconds):.2f}"])
    rows += [[name, "", f"{found.x_l2:.2f}", f"{found.y_l2:.4f}", ""] for name, found in alone.items()]
    title = f"Training at σ = {options.noise:g}, mean of the last {LAST} steps, on samples not seen before"
    with (options.output / "summary.md").open("a") as summary:
        summary.write("\n" + print_table(title, rows, console))


def print_table(title: str, rows: list[list[str]], console: Console) -> str:
    """Prints a table whose first row is the head, and returns it as Markdown."""
    table = Table(title=title)
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if i else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return f"{title}\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
