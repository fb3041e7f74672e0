"""
What it brings to show a network the known diffusivity of each body.

    python benchmarks/known_parameters.py                   # some minutes on one core
    python benchmarks/known_parameters.py --quick           # tiny, to see that it runs

Heat conduction of rectangles, 32² cells, t = 2, σ = 1e-2, with ν of each sample known, drawn log-uniformly from 0.5
to 2; the rule is `EmpiricalBayes()`. A network is shown y alone, y and ν, y and the answer of the inverse, or all
three, and drawn to the local inverse (SIP), by the gradient through the physics (DP), to what the teacher simulates
(self-simulated), or to the true states (labels). All make equally many steps; DP has the best of four learning
rates, chosen on other samples, the others 3e-3. The table holds ½ ‖x − x*‖² of held-out samples ÷ that of the inverse
alone, without a network. On PyTorch.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import replace
from typing import Any

import numpy as np
import phiml.nn
import torch
from phi.torch import TORCH
from phiml import math
from phiml.math import batch, spatial
from rich.console import Console
from rich.table import Table

from phi_sip import (
    Batch,
    EmpiricalBayes,
    HeatEquation,
    Teacher,
    predict_state,
    sip_inverse,
    start_from_estimate,
    train,
)
from phi_sip.data import by_step, heat_rectangles

SIGMA = 1e-2
MEAN = HeatEquation(1.0, 2.0, SIGMA, EmpiricalBayes())
INPUTS = {
    "y": ("y",),
    "y, parameters": ("y", "parameters"),
    "y, estimate": ("y", "estimate"),
    "y, estimate, parameters": ("y", "estimate", "parameters"),
}
WAYS: dict[str, dict[str, Any]] = {
    "SIP": {},
    "DP": {"solver": "gradient"},
    "self-simulated": {"targets": "self-simulated"},
    "labels": {"targets": "labels"},
}
RATES = {"SIP": (3e-3,), "DP": (1e-3, 3e-3, 1e-2, 3e-2), "self-simulated": (3e-3,), "labels": (3e-3,)}


def sample(seed: int, samples: int, cells: int) -> Batch:
    rng = np.random.default_rng(seed)
    nu = math.tensor(np.exp(rng.uniform(np.log(0.5), np.log(2.0), samples)), batch("batch"))
    x = heat_rectangles(batch(batch=samples), spatial(x=cells, y=cells), seed=seed)
    noise = math.tensor(SIGMA * rng.standard_normal((samples, cells, cells)), batch("batch"), spatial("x,y"))
    own = replace(MEAN, diffusivity=nu)
    return Batch(own.forward(x) + noise, x, own)


def error(x: Any, x_true: Any) -> float:
    return float(math.mean(math.l2_loss((x - x_true).values, "x,y"), "batch"))


def trained(way: str, inputs: tuple[str, ...], rate: float, seed: int, options: argparse.Namespace) -> Any:
    """Returns a network after its training."""
    torch.manual_seed(seed)
    math.seed(seed)
    net = phiml.nn.u_net(len(inputs), 1, in_spatial=2, levels=3, filters=8, batch_norm=False, periodic=True)
    first = sample(0, 4, options.cells)
    if "estimate" in inputs:
        start_from_estimate(net, first.physics, first.y_target, inputs=inputs)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    teacher = Teacher(net) if way == "self-simulated" else None
    train(
        *(net, optimizer, MEAN, by_step(lambda step: sample(10**6 * (seed + 1) + step, options.batch, options.cells))),
        steps=options.steps,
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps),
        inputs=inputs,
        teacher=teacher,
        progress=False,
        **WAYS[way],
    )
    if teacher is not None:
        teacher.take_over()
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", default=["SIP", "DP", "labels"], choices=list(WAYS))
    parser.add_argument("--shown", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--cells", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--held-out", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few steps")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.cells, options.batch, options.held_out = 2, 16, 4, 8
    torch.set_num_threads(1)
    math.set_global_precision(32)
    table, start = Table("shown", *options.ways), time.perf_counter()
    with TORCH:
        held_out = [sample(seed, options.held_out, options.cells) for seed in (1, 2)]
        estimates = [sip_inverse(b.physics, b.y_target, b.physics.initial_state(b.y_target)).x_target for b in held_out]
        alone = [error(x, b.x_true) for x, b in zip(estimates, held_out, strict=True)]
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for shown, way in itertools.product(options.shown, options.ways):
            inputs = INPUTS[shown]
            for rate in RATES[way]:
                net = trained(way, inputs, rate, options.seed, options)
                states = [predict_state(net, b.physics, b.y_target, inputs=inputs) for b in held_out]
                choice, test = (error(x, b.x_true) / a for x, b, a in zip(states, held_out, alone, strict=True))
                found.setdefault((way, shown), []).append((choice, test, rate))
                print(f"{way}, {shown}, rate {rate:g}: {test:.3f}", flush=True)
        for shown in options.shown:
            best = [min(found[way, shown]) for way in options.ways]
            table.add_row(shown, *(f"{test:.3f} (rate {rate:g})" for _, test, rate in best))
    Console(width=160).print(table)
    print(f"inverse alone: 1 ({alone[1]:.3g}); {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
