"""
A network that finds sources of Poisson's equation from 64 sensors on 32² nodes, without labels, against one with them.

    python benchmarks/sensor_training.py                 # 10 minutes on one core
    python benchmarks/sensor_training.py --steps 2000 --methods SIP   # until little changes
    python benchmarks/sensor_training.py --quick         # seconds, to see that it runs

States, sensors and noise are those of `sensors.py`, drawn anew in each step. The network is a U-net that is shown the
readings in a picture, at each node those of its sensor and 0 where there is none, and where sensors are. Errors are
means of ‖x̂ − x‖ / ‖x‖ over 200 held-out samples after the last step.

| method | the network is drawn to |
|---|---|
| labels | the true states |
| SIP | the default inverse, `GaussianProcess`: σ and prior fitted to each observation |
| SIP, conjugate gradients | the nearest state that explains the observation |
| DP | states of less misfit, through the physics by Adam |
| the inverse alone | no network |
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from phi.torch import TORCH
from phiml import math, nn
from phiml.math import Tensor, batch, instance, spatial
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sensors import EQUATIONS, Problem

from phi_sip import DifferentiablePhysics, Labels, sip_inverse, sip_update_weights

METHODS: dict[str, dict[str, Any]] = {
    "labels": {"targets": Labels()},
    "SIP": {},
    "SIP, conjugate gradients": {"solver": "conjugate-gradient"},
    "DP": {"solver": "gradient"},
}
ALONE = "the inverse alone"


def states(values: np.ndarray) -> Tensor:
    return math.tensor(values, batch("batch"), spatial("x,y"))


def readings(values: np.ndarray) -> Tensor:
    return math.tensor(values, batch("batch"), instance("sensors"))


def shown(problem: Problem, size: float, net: Any) -> Callable[[Tensor], Tensor]:
    """Returns a network of readings: the picture of sensors and where they are, in units of `size`."""
    mask = np.zeros(problem.states.shape[1:], np.float32)
    mask[problem.places] = 1

    def predict(y: Tensor) -> Tensor:
        values = y.native("batch,sensors")
        picture = torch.zeros(len(values), 2, *mask.shape)
        picture[:, 0, problem.places[0], problem.places[1]] = (values / size).float()
        picture[:, 1] = torch.tensor(mask)
        with math.precision(32):
            return math.tensor(net(picture)[:, 0], batch("batch"), spatial("x,y"))

    return predict


def train(method: str, seed: int, options: argparse.Namespace) -> float:
    """Returns the error of the trained network on samples that were held out."""
    nodes, sensors, samples = (16, 20, 4) if options.quick else (32, 64, 32)
    held_out = Problem.draw(EQUATIONS[0], nodes, sensors, 8 if options.quick else 200, seed, states_seed=10**6)
    physics = DifferentiablePhysics(held_out.simulate, linear=True)
    y = readings(held_out.noisy(options.noise)[0])
    if method == ALONE:
        return held_out.error(sip_inverse(physics, y, states(0 * held_out.states)).x_target.numpy("batch,x,y"))
    torch.manual_seed(seed)
    with math.precision(32):
        net = nn.u_net(2, 1, levels=2 if options.quick else 3, in_spatial=2)
    optimizer, predict = nn.adam(net, 1e-3), shown(held_out, float(held_out.rms.mean()), net)
    for step in track(range(options.steps), f"{method}, seed {seed}"):
        problem = Problem.draw(EQUATIONS[0], nodes, sensors, samples, seed, states_seed=step)
        truth = {"x_true": states(problem.states)} if method == "labels" else {}
        observed = readings(problem.noisy(options.noise, step)[0])
        sip_update_weights(net, optimizer, physics, observed, predict=predict, **METHODS[method], **truth)
    net.eval()
    with torch.no_grad():
        return held_out.error(predict(y).numpy("batch,x,y"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of sensors, states and network")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS], help="with labels in any case")
    parser.add_argument("--noise", type=float, default=0.0, help="in units of the root mean square of u")
    parser.add_argument("--quick", action="store_true", help="a few tiny steps")
    parser.add_argument("--output", type=Path, help="JSON file of all errors")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps = [0], 3
    with TORCH, math.precision(64):
        errors = {
            m: [train(m, seed, options) for seed in options.seeds]
            for m in dict.fromkeys(["labels", *options.methods, ALONE])
        }
    if options.output:
        options.output.write_text(json.dumps(errors, indent=1) + "\n")
    table = Table(title=f"Error in % after {options.steps} steps, and ÷ that with labels")
    table.add_column("method")
    for seed in options.seeds:
        table.add_column(f"seed {seed}", justify="right")
    for method, found in errors.items():
        cells = [f"{100 * e:.1f} ({e / best:.2f})" for e, best in zip(found, errors["labels"], strict=True)]
        table.add_row(method, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
