"""
What the prior brings where cells are hidden: heat, ν·t = 2, on 64² periodic cells, half of which no one sees.

    python benchmarks/masked.py                      # minutes on one core
    python benchmarks/masked.py --rules --cells 32   # the second table
    python benchmarks/masked.py --quick              # seconds: 16² cells

The unit is the error ½ ‖x − x*‖² of the closed form with `EmpiricalBayes()`, which sees all cells. Nothing is told but
the operator, except to the last row.

| row | |
|---|---|
| nothing hidden | `Masked` with a mask of ones: `MaximumAPosteriori` in place of the closed form |
| half hidden | `Masked`, by the same |
| half hidden, conjugate gradients, σ told | without a prior, stopped where the noise explains the rest |

For the first two, also σ as it was found ÷ the true one, and the part of the true values that lie in 95 % intervals.

With `--rules` instead: the error of each rule that needs no closed form, for several parts of hidden cells, ÷ that of
the same rule in closed form, which sees all cells, and ÷ that of `EmpiricalBayes()` with the same cells hidden. The
spectrum of `Wiener` is measured on 256 other states.

Needs the packages of `pip install ".[test]"` and rich.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from phi.field import Field
from phi.torch import TORCH
from phiml import math
from phiml.math import batch, spatial
from rich.console import Console
from rich.table import Table

from phi_sip import (
    EmpiricalBayes,
    HeatEquation,
    Masked,
    Regularization,
    SipStep,
    Tikhonov,
    TotalVariation,
    Wiener,
    sip_inverse,
)
from phi_sip.data import heat_photographs, heat_rectangles, smooth_fields

DATA = {"rectangles": heat_rectangles, "photographs": heat_photographs, "smooth": smooth_fields}
TIME = 2.0
HIDDEN = (0.0, 0.5, 0.75)  # parts of the cells, in the table of rules
CONJUGATE_GRADIENTS = "half hidden, conjugate gradients, σ told"


def error(step: SipStep, truth: Field) -> float:
    """Computes the mean of ½ ‖x̃ − x‖² over samples."""
    squares = math.sum((step.x_target.values - truth.values) ** 2, "x,y")
    return 0.5 * float(math.mean(squares, "batch"))


def coverage(step: SipStep, truth: Field) -> float:
    """Computes the part of the true values that lie in the 95 % intervals."""
    inside = math.abs(step.x_target.values - truth.values) <= 1.96 * step.uncertainty.values
    return float(math.mean(math.to_float(inside), inside.shape))


def measure(data: str, sigma: float, cells: int, samples: int, seed: int) -> dict[str, Any]:
    """Returns the figures of one kind of states at one noise level."""
    rng = np.random.default_rng(seed)
    x = DATA[data](batch(batch=samples), spatial(x=cells, y=cells), seed=seed)
    heat = HeatEquation(1.0, TIME, regularization=EmpiricalBayes())
    noise = math.wrap(sigma * rng.standard_normal((samples, cells, cells)), batch("batch"), spatial("x,y"))
    y = heat.forward(x) + noise
    unit = error(sip_inverse(heat, y, y * 0), x)
    found: dict[str, Any] = {"data": data, "noise": sigma, "closed form": unit}
    half = math.wrap((rng.random((cells, cells)) < 0.5).astype(float), spatial("x,y"))
    for row, mask in (("nothing hidden", half * 0 + 1), ("half hidden", half)):
        physics = Masked(heat, mask)
        seen = physics.observe(y)
        start = time.process_time()
        step = sip_inverse(physics, seen, seen * 0)
        found[row] = {
            "error": error(step, x) / unit,
            "seconds": (time.process_time() - start) / samples,
            "noise found": float(math.mean(step.stats["noise_std"], "batch")) / sigma,
            "coverage": coverage(step, x),
        }
    told = Masked(HeatEquation(1.0, TIME, noise_std=sigma), half)
    step = sip_inverse(told, seen, seen * 0, solver="conjugate-gradient")
    found[CONJUGATE_GRADIENTS] = {"error": error(step, x) / unit}
    return found


def rules_of(data: str, cells: int, seed: int) -> dict[str, Regularization]:
    """Returns the rules that need no closed form."""
    others = DATA[data](batch(batch=256), spatial(x=cells, y=cells), seed=seed + 1000)
    return {
        "EmpiricalBayes()": EmpiricalBayes(),
        "Wiener.from_samples(x)": Wiener.from_samples(others),
        "Tikhonov()": Tikhonov(),
        "TotalVariation()": TotalVariation(),
        "TotalVariation(minimum=0.0)": TotalVariation(minimum=0.0),
    }


def measure_rules(data: str, sigma: float, cells: int, samples: int, seed: int) -> list[dict[str, Any]]:
    """Returns the errors of each rule at one noise level."""
    rng = np.random.default_rng(seed)
    x = DATA[data](batch(batch=samples), spatial(x=cells, y=cells), seed=seed)
    noise = math.wrap(sigma * rng.standard_normal((samples, cells, cells)), batch("batch"), spatial("x,y"))
    chance = rng.random((cells, cells))
    found = []
    for name, rule in rules_of(data, cells, seed).items():
        heat = HeatEquation(1.0, TIME, regularization=rule)
        y = heat.forward(x) + noise
        row = {"data": data, "noise": sigma, "rule": name, "closed form": error(sip_inverse(heat, y, y * 0), x)}
        for hidden in HIDDEN:
            physics = Masked(heat, math.wrap((chance >= hidden).astype(float), spatial("x,y")))
            seen = physics.observe(y)
            sip_inverse(physics, seen, seen * 0)  # what is found once for each mask
            start = time.process_time()
            row[f"{hidden:.0%}"] = error(sip_inverse(physics, seen, seen * 0), x)
            row[f"seconds, {hidden:.0%}"] = (time.process_time() - start) / samples
        found.append(row)
    return found


def print_rules(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Prints and returns the table of rules."""
    table = Table(
        title=f"Error by rule, {options.cells}² cells, seed {options.seed}: ÷ closed form, ÷ EmpiricalBayes()"
    )
    for name in ("states", "σ", "rule", "closed form", *(f"hidden {part:.0%}" for part in HIDDEN), "s"):
        table.add_column(name, justify="right")
    rows = []
    for data in options.data:
        for sigma in options.noise:
            rows += (own := measure_rules(data, sigma, options.cells, options.samples, options.seed))
            for row in own:
                parts = [f"{part:.0%}" for part in HIDDEN]
                errors = [f"{row[part] / row['closed form']:.3f}, {row[part] / own[0][part]:.3f}" for part in parts]
                seconds = f"{max(row[f'seconds, {part}'] for part in parts):.2f}"
                table.add_row(data, f"{sigma:g}", row["rule"], f"{row['closed form']:.4g}", *errors, seconds)
    Console(width=140).print(table)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--noise", nargs="+", type=float, default=[1e-1, 1e-2, 1e-3], help="σ")
    parser.add_argument("--cells", type=int, default=64, help="per side")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--rules", action="store_true", help="the table of rules, in place of that of the prior")
    parser.add_argument("--output", type=Path, help="JSON file of all figures")
    options = parser.parse_args()
    if options.quick:
        options.cells, options.samples, options.noise = 16, 4, [1e-2]
    with TORCH, math.precision(64):
        rows = print_rules(options) if options.rules else print_priors(options)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n")


def print_priors(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Prints and returns the table of the prior."""
    table = Table(title=f"Error ÷ that of the closed form, {options.cells}² cells, seed {options.seed}")
    for name in (
        "states",
        "σ",
        "closed form",
        "nothing hidden",
        "half hidden",
        "c. g., σ told",
        "σ ÷ true",
        "95 %",
        "s",
    ):
        table.add_column(name, justify="left" if name == "states" else "right")
    rows = []
    for data in options.data:
        for sigma in options.noise:
            rows.append(row := measure(data, sigma, options.cells, options.samples, options.seed))
            both = [row["nothing hidden"], row["half hidden"]]
            spans = [" / ".join(f"{one[name]:.2f}" for one in both) for name in ("noise found", "coverage", "seconds")]
            errors = [f"{row[name]['error']:.3f}" for name in ("nothing hidden", "half hidden", CONJUGATE_GRADIENTS)]
            table.add_row(data, f"{sigma:g}", f"{row['closed form']:.3g}", *errors, *spans)
    Console().print(table)
    return rows


if __name__ == "__main__":
    main()
