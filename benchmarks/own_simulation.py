"""
What a step with a simulation of one's own costs, by the default solver, relative to training through the simulation.

Fisher's equation, 20 explicit steps on 32² cells in single precision, batch 8, a u-net: `DifferentiablePhysics` as a
script has it, with a loop in Python, and `Evolution`, which is given one time step. Both methods take turns in one
process; ratios are medians with quartiles, first steps are those that compile.

    python benchmarks/own_simulation.py                          # all frameworks, a few minutes each
    python benchmarks/own_simulation.py --framework tensorflow --physics evolution --time-steps 100
    python benchmarks/own_simulation.py --quick                  # tiny, to see that it runs
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from phi import field
from phi.field import CenteredGrid, Field
from phiml import math, nn
from phiml.math import batch, spatial
from rich.console import Console
from rich.table import Table

from phi_sip import (
    DifferentiablePhysics,
    Evolution,
    InvertiblePhysics,
    OptaxOptimizer,
    sip_update_weights,
)
from phi_sip.data import heat_rectangles

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
METHODS = {"DP": "gradient", "SIP": None}
WARM_UP = 40  # updates with labels


def spread(u: Field, dt: float) -> Field:
    """∂u/∂t = D ∇²u + r u (1 − u), one explicit step."""
    return u + dt * (0.5 * field.laplace(u) + 0.25 * u * (1 - u))


def function(steps: int) -> InvertiblePhysics:
    def simulate(u: Field) -> Field:
        for _ in range(steps):
            u = spread(u, 0.2)
        return u

    return DifferentiablePhysics(simulate)


PHYSICS: dict[str, Callable[[int], InvertiblePhysics]] = {
    "function": function,
    "evolution": lambda steps: Evolution(spread, 0.2, steps),
}


def main() -> None:
    options = parse_arguments()
    if options.job:
        print(json.dumps(measure(options)))
        return
    table = Table(title=f"{options.time_steps} time steps, {options.cells}² cells, batch {options.batch}")
    for column in ("framework", "physics", "step ÷ DP's", "first step: DP, SIP", "ratio", "step of DP"):
        table.add_column(column)
    for framework in options.framework or FLOW:
        for physics in options.physics or PHYSICS:
            command = [sys.executable, __file__, *sys.argv[1:], "--job", "--framework", framework, "--physics", physics]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            low, middle, high = found["ratio"]
            first = found["first"]
            table.add_row(
                framework,
                physics,
                f"{middle:.2f} ({low:.2f}–{high:.2f})",
                f"{first['DP']:.1f} s, {first['SIP']:.1f} s",
                f"{first['SIP'] / first['DP']:.2f}",
                f"{found['seconds']:.3f} s",
            )
    Console(width=120).print(table)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, action="append", help="may be repeated; default: all")
    parser.add_argument("--physics", choices=PHYSICS, action="append", help="may be repeated; default: both")
    parser.add_argument("--time-steps", type=int, default=20)
    parser.add_argument("--cells", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15, help="turns")
    parser.add_argument("--quick", action="store_true", help="4 time steps, 8² cells, batch 2, 2 turns")
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.time_steps, options.cells, options.batch, options.repeats = 4, 8, 2, 2
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Returns seconds of first steps, quartiles of the ratio of later ones, and seconds of one of DP's."""
    framework = options.framework[-1]
    importlib.import_module(FLOW[framework])
    physics = PHYSICS[options.physics[-1]](options.time_steps)
    steps = {method: stepper(framework, physics, solver, options) for method, solver in METHODS.items()}
    other = PHYSICS[options.physics[-1]](1)
    stepper(framework, other, "gradient", options)(0)  # what is imported and made at first use
    first = {method: timed(step, 0) for method, step in steps.items()}
    turns = [[timed(step, number) for step in steps.values()] for number in range(1, options.repeats + 1)]
    seconds = np.asarray(turns)
    ratio = seconds[:, 1] / seconds[:, 0]
    return {
        "first": first,
        "ratio": np.quantile(ratio, (0.25, 0.5, 0.75)).tolist(),
        "seconds": float(np.median(seconds[:, 0])),
    }


def stepper(
    framework: str, physics: InvertiblePhysics, solver: str | None, options: argparse.Namespace
) -> Callable[[int], None]:
    """Returns a function that makes one update with the data of a number."""
    net, optimizer = make_network(framework)
    short = function(1)
    for number in range(WARM_UP):  # as the simulation overflows for what some networks give at first
        x, y_target = data(short, number, options)
        sip_update_weights(net, optimizer, short, y_target, x_true=x, targets="labels")

    def step(number: int) -> None:
        _, y_target = data(physics, number, options)
        float(sip_update_weights(net, optimizer, physics, y_target, solver=solver).y_l2.mean)  # waits for it

    return step


def data(physics: InvertiblePhysics, number: int, options: argparse.Namespace) -> tuple[Field, Field]:
    x = heat_rectangles(batch(batch=options.batch), spatial(x=options.cells, y=options.cells), seed=number)
    x = CenteredGrid(x.values * 0.3, x.boundary, bounds=x.bounds, resolution=x.resolution)
    return x, physics.forward(x)


def timed(step: Callable[[int], None], number: int) -> float:
    start = time.perf_counter()
    step(number)
    return time.perf_counter() - start


def make_network(framework: str) -> tuple[Any, Any]:
    math.seed(0)
    net = nn.u_net(1, 1, periodic=framework != "jax")
    if framework == "jax":
        import optax

        return net, OptaxOptimizer(net, optax.adam(1e-3))
    return net, nn.adam(net, 1e-3)


if __name__ == "__main__":
    main()
