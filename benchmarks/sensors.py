"""
Sources of Poisson's and Helmholtz' equation from 500 point sensors: mean of ‖x̂ − x‖ / ‖x‖ over 20 samples.

    python benchmarks/sensors.py              # a minute on one core
    python benchmarks/sensors.py --quick      # seconds: 32² nodes, 60 sensors, 4 samples

128² nodes with the boundary, ∇²u = a or ∇²u + u = a by the five-point stencil, u = 0 on the boundary; a is a cosine
series whose coefficients have the deviations τ^(α−1) (π²|k|² + τ²)^(−α/2), α = 2, τ = 3, without a constant; for
Helmholtz a is 0 on the boundary, so the state is what is inside. Sensors are drawn from all nodes; those on the
boundary read 0. Noise is white, in units of the root mean square of each sample's u. This is the distribution of
DiffusionPDE and FunDPS, drawn anew; its prior is Gaussian, which FunDPS is not told, and learns from training data.

| row | is told |
|---|---|
| `GaussianProcess` | the operator |
| the same, σ told | the operator and σ |
| `ConjugateGradient` | the operator; where there is noise, it does not stop |
| the same, σ told | the operator and σ, at which it stops |
| limit | the operator, σ and the true prior: no estimate has a smaller mean square error |
| FunDPS | 20,000 or more pairs for training; published by Yao et al., NeurIPS 2025, table 1, without noise |

Exits with 1 where `GaussianProcess` is more than 15 % above the limit, or its 95 % intervals cover less than 90 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from phi.torch import TORCH
from phiml import math
from phiml.math import Tensor, batch, instance, spatial
from rich.console import Console
from rich.table import Table
from scipy import fft

from phi_sip import DifferentiablePhysics, EmpiricalBayes, Regularization, sip_inverse
from phi_sip.gaussian_process import Prior, Response, StateGrid

ALPHA, TAU = 2.0, 3.0
NOISE = (0.0, 1e-3, 1e-2)
PUBLISHED = {"Poisson": 0.2047, "Helmholtz": 0.1716}
WORST, LEAST_COVERAGE = 1.15, 0.9
Row = dict[str, Any]


@dataclass(frozen=True)
class Equation:
    """
    (∇² + k²) u = a, u = 0 on the boundary.

    Attributes:
        name: As in the table.
        k_squared: k².
        inside: Whether a is 0 on the boundary, so that the state is what is inside.
    """

    name: str
    k_squared: float
    inside: bool


EQUATIONS = (Equation("Poisson", 0.0, False), Equation("Helmholtz", 1.0, True))


class TruePrior(Prior):
    """The prior that the states are drawn from: no constant."""

    def power(self) -> np.ndarray:
        power = super().power().copy()
        power[self.modes.k_squared() == 0] = 0
        return power


@dataclass(frozen=True)
class Problem:
    """
    States a, observations of u at the sensors, and the simulation.

    Attributes:
        equation: What relates them.
        states: a, shape (samples, n, n).
        values: u at the sensors, shape (samples, sensors).
        rms: Root mean square of u per sample, shape (samples, 1).
        simulate: Maps states to values.
        places: Indices of the sensors in a state.
    """

    equation: Equation
    states: np.ndarray
    values: np.ndarray
    rms: np.ndarray
    simulate: Callable[[Tensor], Tensor]
    places: tuple[np.ndarray, np.ndarray]

    @staticmethod
    def draw(
        equation: Equation, nodes: int, sensors: int, samples: int, seed: int, states_seed: int | None = None
    ) -> Problem:
        """Draws sensors by a seed, and states by the same or another one."""
        rng, n, h = np.random.default_rng(seed), nodes - 2, 1 / (nodes - 1)
        of_states = rng if states_seed is None else np.random.default_rng((seed, states_seed))
        frequency = np.arange(nodes)
        squares = np.pi**2 * (frequency[:, None] ** 2 + frequency**2)
        deviation = nodes * TAU ** (ALPHA - 1) * (squares + TAU**2) ** (-ALPHA / 2)
        deviation[0, 0] = 0
        states = fft.idctn(deviation * of_states.normal(size=(samples, nodes, nodes)), axes=(1, 2), norm="ortho")
        places = rng.choice(nodes**2, sensors, replace=False)
        i, j = np.divmod(places, nodes)
        seen = (i > 0) & (i < nodes - 1) & (j > 0) & (j < nodes - 1)
        k = np.arange(1, n + 1)
        sines = np.sin(np.pi * k[:, None] * k / (nodes - 1)) * np.sqrt(2 / (nodes - 1))
        eigenvalue = -4 / h**2 * np.sin(np.pi * k / (2 * (nodes - 1))) ** 2
        gain = torch.tensor(1 / (eigenvalue[:, None] + eigenvalue + equation.k_squared))
        basis, place = torch.tensor(sines), torch.tensor((i[seen] - 1) * n + j[seen] - 1)

        def solve(a: torch.Tensor) -> torch.Tensor:
            return basis @ ((basis @ a @ basis) * gain) @ basis

        def simulate(x: Tensor) -> Tensor:
            a = x.native("batch,x,y")
            u = solve(a if equation.inside else a[:, 1:-1, 1:-1])
            return math.tensor(u.reshape(len(u), -1)[:, place], batch("batch"), instance("sensors"))

        inside = states[:, 1:-1, 1:-1]
        u = solve(torch.tensor(inside)).numpy()
        rms = np.sqrt((u**2).sum((1, 2)) / nodes**2)[:, None]
        values = u.reshape(samples, -1)[:, place.numpy()]
        shift = int(equation.inside)
        at = (i[seen] - shift, j[seen] - shift)
        return Problem(equation, inside if equation.inside else states, values, rms, simulate, at)

    def noisy(self, noise: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Returns observations, and their σ, shape (samples,)."""
        drawn = np.random.default_rng(seed).normal(size=self.values.shape)
        return self.values + noise * self.rms * drawn, noise * self.rms[:, 0]

    def error(self, found: np.ndarray) -> float:
        """Computes the mean of ‖x̂ − x‖ / ‖x‖."""
        axes = (1, 2)
        return float(np.mean(np.linalg.norm(found - self.states, axis=axes) / np.linalg.norm(self.states, axis=axes)))


def of_phi_sip(problem: Problem, noise: float, rule: Regularization | None, told: bool) -> Row:
    """Inverts by `phi_sip`."""
    values, std = problem.noisy(noise)
    sigma = math.tensor(std, batch("batch")) if told else None
    physics = DifferentiablePhysics(problem.simulate, noise_std=sigma, linear=True, regularization=rule)
    start = math.tensor(0 * problem.states, batch("batch"), spatial("x,y"))
    before = time.process_time()
    solver = "conjugate-gradient" if rule is None else None
    step = sip_inverse(physics, math.tensor(values, batch("batch"), instance("sensors")), start, solver=solver)
    found = step.x_target.numpy("batch,x,y")
    row: Row = {"error": problem.error(found), "seconds": (time.process_time() - before) / len(values)}
    if rule is not None:
        apart = np.abs(found - problem.states) / step.uncertainty.numpy("batch,x,y")
        row["covered"] = float(np.mean(apart < 1.96))
        row["σ ÷ true"] = float(np.median(step.stats["noise_std"].numpy("batch") / std)) if noise else None
    return row


def limit(problem: Problem, noise: float) -> Row:
    """Computes the posterior mean with the true prior."""
    values, std = problem.noisy(noise)
    nodes = problem.states.shape[1] + 2 * problem.equation.inside
    with math.precision(64):
        unit = np.eye(nodes**2).reshape(-1, nodes, nodes)
        unit = unit[:, 1:-1, 1:-1] if problem.equation.inside else unit
        rows = np.concatenate(
            [
                problem.simulate(math.tensor(part, batch("batch"), spatial("x,y"))).numpy("batch,sensors")
                for part in np.array_split(unit, nodes)
            ]
        ).T
    modes = StateGrid((nodes, nodes), (0, 1), (1.0, 1.0), (False, False)).families()[0]
    response = Response.of(rows, np.zeros(len(rows)), np.arange(len(rows)), [TruePrior(modes, ALPHA, TAU)])
    largest = nodes**2 * TAU ** (2 * ALPHA - 2) * TAU ** (-2 * ALPHA)  # of the variances of the coefficients
    spread = response.spreads[0]
    ratio = np.maximum(std**2 / largest, response.rounding * spread.variances.max())[:, None]
    weighted = (values @ spread.directions) / (spread.variances + ratio)
    found = spread.prior.apply(weighted @ spread.directions.T @ rows).reshape(-1, nodes, nodes)
    return {"error": problem.error(found[:, 1:-1, 1:-1] if problem.equation.inside else found)}


METHODS: dict[str, Callable[[Problem, float], Row]] = {
    "GaussianProcess": lambda problem, noise: of_phi_sip(problem, noise, EmpiricalBayes(), told=False),
    "GaussianProcess, σ told": lambda problem, noise: of_phi_sip(problem, noise, EmpiricalBayes(), told=True),
    "ConjugateGradient": lambda problem, noise: of_phi_sip(problem, noise, None, told=False),
    "ConjugateGradient, σ told": lambda problem, noise: of_phi_sip(problem, noise, None, told=True),
    "limit": limit,
}


def measure(nodes: int, sensors: int, samples: int, seed: int) -> list[Row]:
    """Measures all methods on all problems."""
    rows = []
    for equation in EQUATIONS:
        problem = Problem.draw(equation, nodes, sensors, samples, seed)
        for noise in NOISE:
            for name, method in METHODS.items():
                rows.append({"equation": equation.name, "noise": noise, "method": name, **method(problem, noise)})
    return rows


def table(rows: list[Row]) -> Table:
    """Returns errors in percent, one column per problem."""
    problems = [(equation.name, noise) for equation in EQUATIONS for noise in NOISE]
    shown = Table(title="error of the source in %", caption="s: processor seconds a sample, set-up included")
    shown.add_column("method", no_wrap=True)
    for name, noise in problems:
        shown.add_column(f"{name}, {noise:g}", justify="right")
    shown.add_column("95 % cover", justify="right", no_wrap=True)
    shown.add_column("σ ÷ true", justify="right", no_wrap=True)
    shown.add_column("s", justify="right", no_wrap=True)
    for method in METHODS:
        own: Mapping[Any, Row] = {(r["equation"], r["noise"]): r for r in rows if r["method"] == method}
        cells = [f"{100 * own[key]['error']:.1f}" for key in problems]
        shown.add_row(method, *cells, *(spread(own.values(), name) for name in ("covered", "σ ÷ true", "seconds")))
    shown.add_row(
        "FunDPS", *(f"{100 * PUBLISHED[n]:.1f}" if noise == 0 else "–" for n, noise in problems), "–", "–", "–"
    )
    return shown


def spread(rows: Any, name: str) -> str:
    """Returns the range of a quantity over all problems."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return f"{min(values):.2f} – {max(values):.2f}" if values else "–"


def failures(rows: list[Row]) -> list[str]:
    """Returns what does not hold."""
    found = []
    limits = {(row["equation"], row["noise"]): row["error"] for row in rows if row["method"] == "limit"}
    for row in rows:
        best = limits[row["equation"], row["noise"]]
        if "covered" in row and (row["error"] > WORST * best or row["covered"] < LEAST_COVERAGE):
            found.append(f"{row} where the limit is {best:.4f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--seed", type=int, default=0, help="of sensors and states")
    parser.add_argument("--output", type=Path, help="JSON file of all figures")
    options = parser.parse_args()
    with TORCH, math.precision(64):
        rows = measure(*((32, 60, 4) if options.quick else (128, 500, 20)), options.seed)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    Console(width=160).print(table(rows))
    failed = [] if options.quick else failures(rows)
    for failure in failed:
        print("FAILED", failure)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
