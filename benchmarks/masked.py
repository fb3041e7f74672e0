"""
What the prior brings where cells are hidden: heat, ν·t = 2, on 64² periodic cells, half of which no one sees.

    python benchmarks/masked.py            # minutes on one core
    python benchmarks/masked.py --quick    # seconds: 16² cells

The unit is the error ½ ‖x − x*‖² of the closed form with `EmpiricalBayes()`, which sees all cells. Nothing is told but
the operator, except to the last row.

| row | |
|---|---|
| nothing hidden | `Masked` with a mask of ones: `MaximumAPosteriori` in place of the closed form |
| half hidden | `Masked`, by the same |
| half hidden, conjugate gradients, σ told | without a prior, stopped where the noise explains the rest |

For the first two, also σ as it was found ÷ the true one, and the part of the true values that lie in 95 % intervals.
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

from phi_sip import EmpiricalBayes, HeatEquation, Masked, SipStep, sip_inverse
from phi_sip.data import heat_photographs, heat_rectangles, smooth_fields

DATA = {"rectangles": heat_rectangles, "photographs": heat_photographs, "smooth": smooth_fields}
TIME = 2.0
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--noise", nargs="+", type=float, default=[1e-1, 1e-2, 1e-3], help="σ")
    parser.add_argument("--cells", type=int, default=64, help="per side")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--output", type=Path, help="JSON file of all figures")
    options = parser.parse_args()
    if options.quick:
        options.cells, options.samples, options.noise = 16, 4, [1e-2]
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
    with TORCH, math.precision(64):
        for data in options.data:
            for sigma in options.noise:
                rows.append(row := measure(data, sigma, options.cells, options.samples, options.seed))
                both = [row["nothing hidden"], row["half hidden"]]
                spans = [
                    " / ".join(f"{one[name]:.2f}" for one in both) for name in ("noise found", "coverage", "seconds")
                ]
                errors = [
                    f"{row[name]['error']:.3f}" for name in ("nothing hidden", "half hidden", CONJUGATE_GRADIENTS)
                ]
                table.add_row(data, f"{sigma:g}", f"{row['closed form']:.3g}", *errors, *spans)
    Console().print(table)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
