"""
Permeability of Darcy flow, and vorticity at the start of Navier–Stokes flow, from 500 point sensors: mean error of 20
samples.

    python benchmarks/nonlinear.py                                    # what the physics choose, and what is told more
    python benchmarks/nonlinear.py --solver gauss-newton --size 128   # another solver, by name; may be repeated
    python benchmarks/nonlinear.py --quick                            # seconds: 16² cells, 60 sensors, 2 samples

| case | state | observed |
|---|---|---|
| Darcy | a = 12 where a Gaussian field is ≥ 0, else 3 | u of −∇·(a ∇u) = 1, u = 0 on the walls of the unit square |
| Navier–Stokes | vorticity ω(0), a Gaussian field | ω(1) with ν = 1e-3 and f = 0.1 (sin 2π(x + y) + cos 2π(x + y)) |

at the centers of N² cells; sensors are drawn from them. The Gaussian fields have the deviations τ^(α−1) (π²|k|² +
τ²)^(−α/2), α = 2, τ = 3, in cosines, and √2 τ^(α−1) (4π²|k|² + τ²)^(−α/2), α = 2.5, τ = 7, in Fourier modes, without a
constant, as the programs do that made the data of FNO, DiffusionPDE and FunDPS. These are drawn anew, with another
scheme for each equation, so published figures are those of the same distribution, not of the same samples.

| row | is told |
|---|---|
| the default of the physics, or a solver by name | the equation |
| whitened L-BFGS | the equation, the true prior, and that a is 3 or 12: a maximum a posteriori, by gradients |
| FunDPS | 20,000 or more pairs for training; published by Yao et al., NeurIPS 2025, table 1, at 128² |

Noise is white, in units of the root mean square of each sample's observation; published figures are without. The error
is the mean of ‖x̂ − x‖ / ‖x‖ for a and ω(0); for a also with the nearer of 3 and 12 in place of each value, and the
fraction of cells where that is the wrong one, which is what DiffusionPDE's program computes for Darcy flow. Seconds are
those of the processor, per sample.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phi.torch import TORCH
from phiml import math
from phiml.math import Tensor, batch, channel, extrapolation, instance, spatial
from rich.console import Console
from rich.table import Table
from scipy import fft, optimize

from phi_sip import Darcy, InvertiblePhysics, NavierStokes, Sensors, sip_inverse

LOW, HIGH, BETWEEN = 3.0, 12.0, 7.5
SHARPNESS = 0.05  # of the step between both, for gradients, in units of the Gaussian field
TIME_STEPS = 20
PUBLISHED = {"Darcy": 0.0518, "Navier–Stokes": 0.0848}
Row = dict[str, Any]


def centers(n: int) -> np.ndarray:
    """Returns the positions of n cells of the unit interval."""
    return (np.arange(n) + 0.5) / n


def unit_square(values: np.ndarray, boundary: Any) -> Field:
    """Returns a grid from (batch, n, n)."""
    cells = spatial(x=values.shape[1], y=values.shape[2])
    return CenteredGrid(math.tensor(values, batch("batch"), spatial("x,y")), boundary, Box(x=1, y=1), resolution=cells)


def cosine_field(white: torch.Tensor) -> torch.Tensor:
    """Computes the Gaussian field of Darcy flow from white noise (…, n, n)."""
    n = white.shape[-1]
    k = np.arange(n)
    deviation = n * 3.0 * (np.pi**2 * (k[:, None] ** 2 + k**2) + 9.0) ** -1
    deviation[0, 0] = 0
    modes = torch.tensor(fft.idct(np.eye(n), norm="ortho", axis=0))
    return modes @ (torch.tensor(deviation) * white) @ modes.T


def periodic_field(white: torch.Tensor) -> torch.Tensor:
    """Computes the vorticity at the start from white noise (…, n, n)."""
    n = white.shape[-1]
    k = np.fft.fftfreq(n, 1 / n)
    deviation = n * np.sqrt(2) * 7.0**1.5 * (4 * np.pi**2 * (k[:, None] ** 2 + k**2) + 49.0) ** -1.25
    deviation[0, 0] = 0
    return torch.fft.ifft2(torch.tensor(deviation) * torch.fft.fft2(white)).real


@dataclass(frozen=True)
class Case:
    """
    A problem of the benchmark.

    Attributes:
        name: As in the table.
        physics: Makes the equation for N cells per axis.
        boundary: Of the state.
        state: Computes the state from white noise.
        smooth_state: The same, differentiable.
        shown: Computes what errors are of from a state.
        values: The two values that it has, if these are all.
    """

    name: str
    physics: Callable[[int], InvertiblePhysics]
    boundary: Any
    state: Callable[[torch.Tensor], torch.Tensor]
    smooth_state: Callable[[torch.Tensor], torch.Tensor]
    shown: Callable[[np.ndarray], np.ndarray]
    values: tuple[float, float] | None = None


def two_phases(white: torch.Tensor, share: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Computes log a from white noise, and from the share of the higher value for a value of the field."""
    return float(np.log(LOW)) + float(np.log(HIGH / LOW)) * share(cosine_field(white))


def navier_stokes(n: int) -> NavierStokes:
    """Returns the flow on n² cells."""
    phase = 2 * np.pi * (centers(n)[:, None] + centers(n))
    forcing = math.tensor(0.1 * (np.sin(phase) + np.cos(phase)), spatial("x,y"))
    return NavierStokes(1e-3, 1 / TIME_STEPS, TIME_STEPS, forcing)


CASES = (
    Case(
        "Darcy",
        lambda n: Darcy(source=1.0),
        0,
        partial(two_phases, share=lambda field: (field >= 0).double()),
        partial(two_phases, share=lambda field: torch.sigmoid(field / SHARPNESS)),
        np.exp,
        (LOW, HIGH),
    ),
    Case("Navier–Stokes", navier_stokes, extrapolation.PERIODIC, periodic_field, periodic_field, np.asarray),
)


@dataclass(frozen=True)
class Problem:
    """
    Samples of a case.

    Attributes:
        case: What was drawn.
        states: x, shape (samples, n, n).
        physics: Process from x to the values at the sensors.
        y: Observations.
        noise_std: σ per sample.
    """

    case: Case
    states: np.ndarray
    physics: Sensors
    y: Tensor
    noise_std: np.ndarray

    @staticmethod
    def draw(case: Case, n: int, sensors: int, samples: int, noise: float, seed: int) -> Problem:
        """Draws states, and sensors that all of them have in common."""
        rng = np.random.default_rng(seed)
        states = case.state(torch.tensor(rng.normal(size=(samples, n, n)))).numpy()
        places = np.stack(np.divmod(rng.choice(n**2, sensors, replace=False), n), 1)
        points = math.tensor((places + 0.5) / n, instance("sensors"), channel(vector="x,y"))
        x = unit_square(states, case.boundary)
        physics = Sensors(case.physics(n), points, x.batch[0])
        y = physics.forward(x)
        exact = y.numpy("batch,sensors")
        std = noise * np.sqrt(np.mean(exact**2, 1))
        noisy = exact + std[:, None] * rng.normal(size=exact.shape)
        return Problem(case, states, physics, math.tensor(noisy, batch("batch"), instance("sensors")), std)

    def row(self, method: str, found: np.ndarray, seconds: float) -> Row:
        """Returns what a method has reached."""
        shown, true = self.case.shown(found), self.case.shown(self.states)
        error = np.linalg.norm(shown - true, axis=(1, 2)) / np.linalg.norm(true, axis=(1, 2))
        row: Row = {"case": self.case.name, "method": method, "error": float(error.mean())}
        if self.case.values:
            wrong = (shown > BETWEEN) != (true > BETWEEN)
            sides = np.where(shown > BETWEEN, HIGH, LOW)
            both = np.linalg.norm(sides - true, axis=(1, 2)) / np.linalg.norm(true, axis=(1, 2))
            row.update({"wrong cells": float(wrong.mean()), "error of two values": float(both.mean())})
        return {**row, "seconds": seconds / len(found)}


def of_phi_sip(problem: Problem, solver: str | None) -> np.ndarray:
    """Inverts by what the physics choose, or by a solver."""
    start = problem.physics.initial_state(problem.y)
    return sip_inverse(problem.physics, problem.y, start, solver=solver).x_target.values.numpy("batch,x,y")


def whitened(problem: Problem, iterations: int) -> np.ndarray:
    """
    Computes the minimum of ½ ‖P(x(z)) − y*‖² / σ² + ½ ‖z‖² by L-BFGS, with x(z) from white noise z by the true prior
    and σ at least 1e-3 of the root mean square of y*.
    """
    y = problem.y.native("batch,sensors")
    scale = np.sqrt(np.mean(problem.y.numpy("batch,sensors") ** 2, 1))
    weight = torch.tensor(1 / np.maximum(problem.noise_std, 1e-3 * scale)[:, None])
    shape = problem.states.shape

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        z = torch.tensor(flat.reshape(shape), requires_grad=True)
        values = math.reshaped_tensor(
            problem.case.smooth_state(z), [batch(batch=len(y)), *problem.physics.grid.resolution]
        )
        found = problem.physics.forward(problem.physics.grid.with_values(values)).native("batch,sensors")
        loss = 0.5 * (((found - y) * weight) ** 2).sum() + 0.5 * (z**2).sum()
        loss.backward()
        return float(loss.detach()), z.grad.numpy().ravel()

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30}
    best = optimize.minimize(objective, np.zeros(np.prod(shape)), jac=True, method="L-BFGS-B", options=options)
    return problem.case.smooth_state(torch.tensor(best.x.reshape(shape))).numpy()


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Measures all methods on all cases."""
    methods: dict[str, Callable[[Problem], np.ndarray]] = {
        solver or "default": partial(of_phi_sip, solver=solver) for solver in arguments.solver or [None, "gauss-newton"]
    }
    if arguments.iterations:
        methods["whitened L-BFGS, told the prior"] = partial(whitened, iterations=arguments.iterations)
    rows = []
    for case in CASES:
        if arguments.case in case.name:
            problem = Problem.draw(
                case, arguments.size, arguments.sensors, arguments.samples, arguments.noise, arguments.seed
            )
            for name, method in methods.items():
                before = time.process_time()
                rows.append(problem.row(name, method(problem), time.process_time() - before))
                print(rows[-1], flush=True)
    return rows


def table(rows: Sequence[Row]) -> Table:
    """Returns errors in percent."""
    shown = Table(title="error in %", caption="s: processor seconds a sample")
    shown.add_column("method", no_wrap=True)
    columns = ("error", "error of two values", "wrong cells", "seconds")
    for column in ("case", *columns):
        shown.add_column(column, justify="right")
    for row in rows:
        percent = [f"{100 * row[c]:.2f}" if c in row else "–" for c in columns[:-1]]
        shown.add_row(row["method"], row["case"], *percent, f"{row['seconds']:.2f}")
    for case, error in PUBLISHED.items():
        place = 2 if case == "Darcy" else 0  # of Darcy flow, DiffusionPDE's metric
        shown.add_row("FunDPS", case, *(f"{100 * error:.2f}" if i == place else "–" for i in range(3)), "–")
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solver", action="append", help="by name; default: what the physics choose, and gauss-newton")
    parser.add_argument("--case", default="", help="Darcy or Navier; default: both")
    parser.add_argument("--size", type=int, default=64, help="N cells per axis")
    parser.add_argument("--sensors", type=int, default=500)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--noise", type=float, default=0.0, help="in units of the root mean square of each observation")
    parser.add_argument("--iterations", type=int, default=300, help="of L-BFGS, which is told the prior; 0: not at all")
    parser.add_argument("--seed", type=int, default=0, help="of sensors and states")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--output", type=Path, help="JSON file of all figures")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.size, arguments.sensors, arguments.samples, arguments.iterations = 16, 60, 2, 20
    with TORCH, math.precision(64):
        rows = measure(arguments)
    if arguments.output:
        arguments.output.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    Console(width=140).print(table(rows))


if __name__ == "__main__":
    main()
