"""
Where SIP has nothing to gain: linear coupled oscillators, whose map from initial to final state is well conditioned.

A chain of N masses and springs between walls, x = (positions, velocities) at time 0, y the same at time t:

    d²q/dt² = −K q,   y = exp(A t) x,   A = ((0, 1), (−K, 0))

exp(A t) neither shrinks nor stretches much, so the gradient through it points to the solution already. With stiff
springs in between (`--stiffness`), velocities and positions have different scales, and it no longer does.

    python examples/coupled_oscillators.py               # a minute
    python examples/coupled_oscillators.py --quick       # seconds
"""

from __future__ import annotations

import argparse
import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from inverse_alone import NAME, invert_alone
from phiml import math, nn
from phiml.math import Tensor, batch, channel
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.linalg import expm

from phi_sip import Correction, InvertiblePhysics, Labels, OptaxOptimizer, sip_update_weights
from phi_sip.interrupts import interrupts_between_steps

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
METHODS: dict[str, dict[str, Any]] = {"SIP": {}, "DP": {"solver": "gradient"}, "supervised": {"targets": Labels()}}
RATES = (3e-4, 1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class Oscillators(InvertiblePhysics):
    """
    y = exp(A t) x for a chain of unit masses, with springs of constant `stiffness` between neighbours and to the walls.

    Args:
        masses: N; x and y have a channel dim of size 2 N.
        time: t, in units of 1 / √(spring constant of 1).
        stiffness: Spring constant > 0.
    """

    name: ClassVar[str] = "oscillators"

    masses: int = 8
    time: float = 5.0
    stiffness: float = 1.0

    @property
    def is_linear(self) -> bool:
        return True

    def matrix(self, time: float) -> np.ndarray:
        """exp(A t)."""
        n = self.masses
        springs = self.stiffness * (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
        return expm(time * np.block([[np.zeros((n, n)), np.eye(n)], [-springs, np.zeros((n, n))]]))

    def forward(self, x: Tensor) -> Tensor:
        return self._apply(self.matrix(self.time), x)

    def inverse(self, y_target: Tensor, x: Tensor, y: Tensor) -> Correction:
        return Correction(self._apply(self.matrix(-self.time), y_target - y))

    def _apply(self, matrix: np.ndarray, x: Tensor) -> Tensor:
        native = math.cast(math.wrap(matrix, channel("_out,vector")), x.dtype)
        return math.rename_dims(math.dot(native, "vector", x, "vector"), "_out", "vector")


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])
    console = Console()
    table = Table(title=f"Mean ½ ‖x − x*‖² after {options.steps} steps, each method with its best of {RATES}")
    columns = ("stiffness", "condition number", *METHODS, NAME)
    for column in columns:
        table.add_column(column, justify="right")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    try:
        with interrupts_between_steps() as check_interrupt:
            for stiffness in options.stiffness:
                physics = Oscillators(options.masses, stiffness=stiffness)
                found = [best_loss(method, physics, options, console, check_interrupt) for method in METHODS]
                condition = np.linalg.cond(physics.matrix(physics.time))
                alone = loss_alone(physics, options)
                cells = [f"{stiffness:g}", f"{condition:.3g}", *(f"{loss:.3g}" for loss in found), f"{alone:.1g}"]
                table.add_row(*cells)
                lines.append("| " + " | ".join(cells) + " |")
    except KeyboardInterrupt:
        console.print("Interrupted: reporting what was done so far.")
    console.print(table)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "summary.md").write_text("\n".join(lines) + "\n")


def best_loss(
    method: str, physics: Oscillators, options: argparse.Namespace, console: Console, check_interrupt: Any
) -> float:
    losses = []
    for rate in track(options.rates, f"{method}, stiffness {physics.stiffness:g}", console=console):
        losses.append(train(method, physics, rate, options, check_interrupt))
    return min(losses)


def train(method: str, physics: Oscillators, rate: float, options: argparse.Namespace, check_interrupt: Any) -> float:
    """Mean loss of the last tenth of the steps, on samples not seen before."""
    math.seed(0)
    net = nn.mlp(2 * physics.masses, 2 * physics.masses, [64, 64])
    optimizer = make_optimizer(net, rate, options.framework)
    losses = []
    for step in range(options.steps):
        check_interrupt()
        x = make_states(physics, step)
        update = sip_update_weights(net, optimizer, physics, physics.forward(x), x_true=x, **METHODS[method])
        losses.append(float(update.x_l2.mean))
    return float(np.mean(losses[-max(1, options.steps // 10) :]))


def make_states(physics: Oscillators, step: int) -> Tensor:
    """Unseen states, the same for every method."""
    samples = np.random.default_rng(step).standard_normal((100, 2 * physics.masses)).astype(np.float32)
    return math.tensor(samples, batch("batch"), channel("vector"))


def loss_alone(physics: Oscillators, options: argparse.Namespace) -> float:
    """That of the inverse without a network, on the last of these states."""
    x = make_states(physics, options.steps - 1)
    return float(math.l2_loss(invert_alone(physics, physics.forward(x)) - x).mean)


def make_optimizer(net: Any, rate: float, framework: str) -> Any:
    if framework == "jax":
        import optax

        return OptaxOptimizer(net, optax.adam(rate))
    return nn.adam(net, rate)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--masses", type=int, default=8)
    parser.add_argument("--stiffness", type=float, nargs="+", default=[1.0, 10.0, 100.0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("results/coupled_oscillators"), help="folder")
    parser.add_argument("--quick", action="store_true", help="20 steps, one stiffness, one rate")
    options = parser.parse_args()
    options.rates = RATES
    if options.quick:
        options.steps, options.stiffness, options.rates = 20, [1.0], RATES[1:2]
    if min(options.masses, options.steps) <= 0 or min(options.stiffness) <= 0:
        parser.error("masses, steps and stiffness must be positive")
    return options


if __name__ == "__main__":
    main()
