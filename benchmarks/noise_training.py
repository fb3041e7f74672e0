"""
Label-free training under noise against training with labels, on the same data, from the same weights, step by step.

For each noise level, seed and kind of data one network per rule and one with labels take turns; `noise_std="auto"`.
Reported are the x loss at the end, that of the inverse alone by the same rule on the same samples, and the time of a
step (medians of interleaved steps), all relative to training with labels.

    python benchmarks/noise_training.py                                   # heat rectangles, all noise levels, seed 0
    python benchmarks/noise_training.py --noise 1e-3 --seeds 0 1 2 --steps 1000
    python benchmarks/noise_training.py --data smooth photographs --noise 1e-3
    python benchmarks/noise_training.py --rules default --subset 0.25     # edges for a quarter of the batch only
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from phi.field import Field, l2_loss
from phiml import math, nn
from phiml.math import batch, spatial
from rich.console import Console
from rich.progress import track
from rich.table import Table

from phi_sip import (
    CrossValidated,
    EmpiricalBayes,
    HeatEquation,
    Labels,
    LocalInverse,
    OptaxOptimizer,
    ProbabilisticDamping,
    TotalVariation,
    TrainingTarget,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.data import heat_photographs, heat_rectangles, smooth_fields

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
DATA = {"rectangles": heat_rectangles, "smooth": smooth_fields, "photographs": heat_photographs}
RULES = {
    "default": CrossValidated(),
    "total variation": TotalVariation(),
    "total variation, x ≥ 0": TotalVariation(minimum=0.0),
    "empirical Bayes": EmpiricalBayes(),
    "damping": ProbabilisticDamping(),
}


@dataclass
class Run:
    """One network under training."""

    net: Any
    optimizer: Any
    physics: HeatEquation
    target: TrainingTarget | None
    x_l2: list[float]
    seconds: list[float]
    alone: list[float] = field(default_factory=list)

    def step(self, x: Field, y_target: Field) -> None:
        start = time.perf_counter()
        update = sip_update_weights(self.net, self.optimizer, self.physics, y_target, targets=self.target, x_true=x)
        self.x_l2.append(float(update.x_l2.mean))
        self.seconds.append(time.perf_counter() - start)

    def invert_alone(self, x: Field, y_target: Field) -> None:
        """The error of what the inverse gives without a network."""
        found = sip_inverse(self.physics, y_target, self.physics.initial_state(y_target)).x_target
        self.alone.append(float(l2_loss(found - x).mean))


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])
    table = Table(title=f"{options.framework}, batch {options.batch}, {options.steps} steps, relative to labels")
    for column in (
        "data",
        "noise σ",
        "seed",
        "x loss with labels",
        *(f"{rule}: loss, alone, time" for rule in options.rules),
    ):
        table.add_column(column, justify="left" if column == "data" else "right")
    results = []
    with math.precision(options.precision):
        for data in options.data:
            for noise in options.noise:
                for seed in options.seeds:
                    runs = train(options, DATA[data], noise, seed)
                    results.append(summary(data, noise, seed, runs))
                    print(json.dumps(results[-1]), flush=True)
                    table.add_row(*cells(results[-1], options.rules))
    Console(width=160).print(table)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 1e-4, 1e-3, 1e-2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", type=int, choices=(32, 64), default=64, help="of the physics, in bits")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--data", choices=DATA, nargs="+", default=["rectangles"])
    parser.add_argument("--rules", choices=RULES, nargs="+", default=["total variation, x ≥ 0", "default"])
    parser.add_argument("--subset", type=float, help="part of the batch for which edges are looked for; default: ours")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    return parser.parse_args()


def train(options: argparse.Namespace, data: Callable[..., Field], noise: float, seed: int) -> dict[str, Run]:
    runs = {"labels": make_run(options.framework, seed, HeatEquation(1.0, 8.0, noise), Labels())}
    for rule in options.rules:
        physics = HeatEquation(1.0, 8.0, regularization=RULES[rule])
        target = None if RULES[rule].control is None else LocalInverse(subset=options.subset)
        runs[rule] = make_run(options.framework, seed, physics, target)
    n = options.resolution
    for step in track(range(options.steps), f"σ = {noise:g}, seed {seed}"):
        number = 100_000 * seed + step
        x = data(batch(batch=options.batch), spatial(x=n, y=n), seed=number)
        observed = noise * np.random.default_rng([number, 1]).standard_normal((options.batch, n, n))
        y_target = runs["labels"].physics.forward(x) + math.tensor(observed, batch("batch"), spatial("x,y"))
        for run in runs.values():
            run.step(x, y_target)
        for rule in options.rules if step >= options.steps - last_of(options.steps) else ():
            runs[rule].invert_alone(x, y_target)
    return runs


def last_of(steps: int) -> int:
    """How many steps final errors are means over."""
    return max(1, min(20, steps // 2))


def make_run(framework: str, seed: int, physics: HeatEquation, target: TrainingTarget | None) -> Run:
    """All networks of a seed start from the same weights."""
    math.seed(seed)
    if framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(seed)  # math.seed gives every Keras network the same weights
    with math.precision(32):
        net = nn.u_net(1, 1, periodic=framework != "jax")
    if framework == "jax":
        import optax

        return Run(net, OptaxOptimizer(net, optax.adam(1e-3)), physics, target, [], [])
    return Run(net, nn.adam(net, 1e-3), physics, target, [], [])


def summary(data: str, noise: float, seed: int, runs: dict[str, Run]) -> dict[str, Any]:
    labels = runs["labels"]
    last = last_of(len(labels.x_l2))

    def final(run: Run) -> float:
        return float(np.mean(run.x_l2[-last:]))

    ratios = {
        rule: {
            "loss": final(run) / final(labels),
            "alone": float(np.mean(run.alone)) / final(labels),
            "time": float(
                np.median(np.asarray(run.seconds[1:] or run.seconds)) / np.median(labels.seconds[1:] or labels.seconds)
            ),
        }
        for rule, run in runs.items()
        if rule != "labels"
    }
    return {"data": data, "noise": noise, "seed": seed, "labels": final(labels), "ratios": ratios}


def cells(result: dict[str, Any], rules: list[str]) -> list[str]:
    head = [result["data"], f"{result['noise']:g}", str(result["seed"]), f"{result['labels']:.2f}"]
    found = [result["ratios"][rule] for rule in rules]
    return head + [f"{r['loss']:.3f}, {r['alone']:.3f}, {r['time']:.2f}" for r in found]


if __name__ == "__main__":
    main()
