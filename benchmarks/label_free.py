"""
What a network learns from observations alone, on top of the inverse: squared error ÷ that of the inverse alone.

    python benchmarks/label_free.py                                          # all: hours on two cores
    python benchmarks/label_free.py --data rectangles --noise 1e-2 --seeds 0 # one of them
    python benchmarks/label_free.py --quick                                  # tiny, to see that it runs
    python benchmarks/label_free.py --seconds 60 --methods self-simulated "deepinv SURE, B"   # equal processor time
    python benchmarks/label_free.py --report label_free.jsonl                # table and figure of what was measured

The same network and 2,048 observations for all methods, on PyTorch. Samples that are held out come from other random
numbers, and for photographs from other pictures. σ is measured, not told, but to the methods of deepinv. Of all methods
the average of the weights is evaluated, `Teacher`. What is on top of the inverse has a guard, fitted to 256 further
observations without their states (`fit_guard`); `unguarded` in the JSON lines is without. Needs the packages of
`pip install ".[test]"`, and deepinv for its methods.

| method | targets | inputs |
|---|---|---|
| labels | `Labels()`, the limit of this network | y, estimate, linear |
| self-simulated | `SelfSimulated()` with a teacher | y, estimate, linear |
| the same, plain | without corrections of bias and by the data | y, estimate, linear |
| the same, of the inverse | of states that the inverse makes, not the teacher | y, estimate, linear |
| the same, copies | four observations of each state | y, estimate, linear |
| no buffer | `SelfSimulated(copies=4)` without a teacher: of states that the inverse makes anew in each step | same |
| no buffer, plain | without corrections | the same |
| no buffer, refreshed | of states that the network itself makes | the same |
| no buffer, refreshed, plain | both | the same |
| local inverse | `LocalInverse()`, as published | y |
| labels, y alone | `Labels()` | y |
| deepinv … | the losses of DeepInverse, see `label_free_deepinv.py` | y, estimate, linear |
| deepinv …, y alone | the same | y |
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import label_free_deepinv as deepinv
import label_free_report as report
import numpy as np
import torch
from label_free_budget import Budget
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phi.torch import TORCH
from phiml import math
from phiml.math import batch, extrapolation, spatial

from phi_sip import (
    Guard,
    HeatEquation,
    Labels,
    LocalInverse,
    SelfSimulated,
    Teacher,
    TotalVariation,
    fit_guard,
    predict_state,
    sip_inverse,
    sip_update_weights,
    start_from_estimate,
)
from phi_sip.data import heat_photographs, heat_rectangles, smooth_fields
from phi_sip.data.photographs import PICTURES

HELD_OUT = ("camera", "coffee", "grass")  # pictures that are not trained on
RULES = {"rectangles": TotalVariation(minimum=0.0), "photographs": None, "smooth": None}
INPUTS = ("y", "estimate", "linear")


class Untaught(SelfSimulated):
    """Without a teacher."""


METHODS = {
    "labels": (Labels(), INPUTS),
    "self-simulated": (SelfSimulated(), INPUTS),
    "self-simulated, plain": (SelfSimulated(bias_correction=0.0, data_correction=False), INPUTS),
    "self-simulated, of the inverse": (SelfSimulated(0.0), INPUTS),
    "self-simulated, copies": (SelfSimulated(copies=4), INPUTS),
    "no buffer": (Untaught(copies=4), INPUTS),
    "no buffer, plain": (Untaught(bias_correction=0.0, data_correction=False, copies=4), INPUTS),
    "no buffer, refreshed": (Untaught(1.0, copies=4), INPUTS),
    "no buffer, refreshed, plain": (Untaught(1.0, bias_correction=0.0, data_correction=False, copies=4), INPUTS),
    "local inverse, y alone": (LocalInverse(), ("y",)),
    "labels, y alone": (Labels(), ("y",)),
}
ALL_METHODS: dict[str, tuple[Any, Sequence[str]]] = METHODS | deepinv.METHODS


class Network(torch.nn.Module):
    """A small U-Net with periodic padding, on quantities of mean 0 and the size of the observation."""

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()
        self.down = torch.nn.ModuleList([block(channels, width), block(width, 2 * width), block(2 * width, 4 * width)])
        self.up = torch.nn.ModuleList([block(6 * width, 2 * width), block(3 * width, width)])
        self.last = torch.nn.Conv2d(width, 1, 1)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        centered = given - given[:, :1].mean((-2, -1), keepdim=True)
        size = centered[:, -1:].square().mean((-2, -1), keepdim=True).sqrt() + 1e-6
        levels = [self.down[0](centered / size)]
        for down in self.down[1:]:
            levels.append(down(torch.nn.functional.avg_pool2d(levels[-1], 2)))
        found = levels.pop()
        for up in self.up:
            found = up(torch.cat([torch.nn.functional.interpolate(found, scale_factor=2), levels.pop()], 1))
        return size * self.last(found)


def block(channels_in: int, channels_out: int) -> torch.nn.Module:
    def layers(count: int) -> list[torch.nn.Module]:
        convolution = torch.nn.Conv2d(count, channels_out, 3, padding=1, padding_mode="circular")
        return [convolution, torch.nn.GroupNorm(4, channels_out), torch.nn.SiLU()]

    return torch.nn.Sequential(*layers(channels_in), *layers(channels_out))


def states(data: str, samples: int, cells: int, seed: int, held_out: bool) -> np.ndarray:
    """Random states (batch, x, y)."""
    shape = batch(batch=samples), spatial(x=cells, y=cells)
    if data == "photographs":
        pictures = [name for name in PICTURES if (name in HELD_OUT) == held_out]
        made = heat_photographs(*shape, seed=seed, pictures=pictures)
    else:
        made = {"rectangles": heat_rectangles, "smooth": smooth_fields}[data](*shape, seed=seed)
    values: np.ndarray = made.values.numpy("batch,x,y")
    return values


def grid(values: np.ndarray) -> Field:
    cells = values.shape[-1]
    tensor = math.tensor(values, batch("batch"), spatial("x,y"))
    return CenteredGrid(tensor, extrapolation.PERIODIC, bounds=Box(x=cells, y=cells))


def errors(x: Field, truth: np.ndarray) -> np.ndarray:
    """½ ‖x − x_true‖² per sample."""
    squares: np.ndarray = (x.values.numpy("batch,x,y") - truth) ** 2
    return 0.5 * squares.sum((1, 2))


class Problem:
    """Observations to train with, and held-out ones."""

    def __init__(self, data: str, noise: float, cells: int, seed: int, samples: int, held_out: int) -> None:
        self.noise, self.physics = noise, HeatEquation(1.0, 2.0 * (cells / 32) ** 2, regularization=RULES[data])
        self.truths = states(data, samples, cells, 100 + seed, False)
        self.truths_held = states(data, held_out, cells, 10**7 + seed, True)
        rng = np.random.default_rng(1234 + seed)
        self.y, self.y_held = (
            self.physics.forward(grid(x)).values.numpy("batch,x,y") + noise * rng.standard_normal(x.shape)
            for x in (self.truths, self.truths_held)
        )
        further = states(data, held_out, cells, 10**6 + seed, False)
        self.y_further = self.physics.forward(grid(further)).values.numpy("batch,x,y")
        self.y_further = self.y_further + noise * rng.standard_normal(further.shape)
        y = grid(self.y_held)
        self.alone = errors(sip_inverse(self.physics, y, self.physics.initial_state(y)).x_target, self.truths_held)

    def batches(self, size: int, seed: int) -> Iterator[tuple[Field, Field]]:
        """Yields observations and true states, all of them once before one comes again."""
        rng = np.random.default_rng(seed)
        while True:
            order = rng.permutation(len(self.y))
            for start in range(0, len(order) - size + 1, size):
                part = order[start : start + size]
                yield grid(self.y[part]), grid(self.truths[part])


class Ours:
    """Trains and evaluates a network by `phi_sip`."""

    def __init__(
        self, net: Network, optimizer: torch.optim.Optimizer, physics: HeatEquation, target: Any, inputs: Sequence[str]
    ) -> None:
        self.net, self.optimizer, self.physics = net, optimizer, physics
        self.target, self.inputs = target, inputs
        self.teacher = Teacher(net)

    def update(self, y: Field, x_true: Field) -> None:
        labels = x_true if isinstance(self.target, Labels) else None
        how: dict[str, Any] = {"inputs": self.inputs, "targets": self.target}
        if isinstance(self.target, Untaught):
            sip_update_weights(self.net, self.optimizer, self.physics, y, **how)
            self.teacher.average.follow()
        else:
            sip_update_weights(self.net, self.optimizer, self.physics, y, x_true=labels, teacher=self.teacher, **how)

    def predict(self, y: Field, guard: Guard | None = None) -> Field:
        with self.teacher.answering():
            return predict_state(self.net, self.physics, y, inputs=self.inputs, guard=guard)

    def guard(self, y: Field) -> Guard:
        with self.teacher.answering():
            return fit_guard(self.net, self.physics, y, inputs=self.inputs)


def trained(problem: Problem, method: str, seed: int, budget: Budget, samples: int, rate: float) -> dict[str, Any]:
    """Trains a network with `samples` samples a step, and returns its errors in units of the inverse's."""
    target, inputs = ALL_METHODS[method]
    torch.manual_seed(seed)
    math.seed(seed)
    net = Network(len(inputs)).to(TORCH.get_default_device().ref)
    if "estimate" in inputs:
        start_from_estimate(net, problem.physics, grid(problem.y[:16]), inputs=inputs)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    if isinstance(target, deepinv.DeepInverse):
        trainer: Any = target.trainer(net, optimizer, problem, inputs, seed)
    else:
        trainer = Ours(net, optimizer, problem.physics, target, inputs)
    batches = problem.batches(samples // target.copies if isinstance(target, Untaught) else samples, seed)
    curve: list[float] = []
    while budget.done < 1:
        optimizer.param_groups[0]["lr"] = rate * budget.decay
        budget.spend(trainer.update, *next(batches))
        if budget.done >= (len(curve) + 1) / 4:
            found = errors(trainer.predict(grid(problem.y_held)), problem.truths_held)
            curve.append(float(found.mean() / problem.alone.mean()))
    about = {"curve": curve, "unguarded": curve[-1]}
    if isinstance(trainer, Ours) and "estimate" in inputs:
        guard = trainer.guard(grid(problem.y_further))
        found = errors(trainer.predict(grid(problem.y_held), guard), problem.truths_held)
        about["gain"] = guard.gain
    ratio = float(found.mean() / problem.alone.mean())
    worse = float((found > problem.alone).mean())
    spread = float((found - ratio * problem.alone).std() / problem.alone.mean() / len(found) ** 0.5)
    spent = {"processor seconds": budget.spent, "steps": budget.taken}
    return {"ratio": ratio, "standard error": spread, "worse": worse, **about, **spent}


def main() -> None:
    options = parse_arguments()
    if options.report:
        report.show(options.report, options.output)
        return
    torch.set_num_threads(options.threads)
    math.set_global_precision(32)
    steps, count, held_out = (4, 32, 8) if options.quick else (options.steps, 2048, 256)
    seeds, noises = ([0], options.noise[:1]) if options.quick else (options.seeds, options.noise)
    with TORCH:
        for data, noise, cells, seed in (
            (d, n, c, s) for d in options.data for n in noises for c in options.cells for s in seeds
        ):
            problem = Problem(data, noise, cells, seed, count, held_out)
            for method in options.methods:
                row = trained(problem, method, seed, Budget(steps, options.seconds), options.batch, options.rate)
                about = {"data": data, "noise": noise, "cells": cells, "seed": seed, "method": method}
                about |= {"seconds given": options.seconds, "inverse alone": float(problem.alone.mean())}
                with options.output.open("a") as file:
                    file.write(json.dumps({**about, **row}) + "\n")
    print(report.table(report.read([options.output])), end="")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["rectangles", "photographs", "smooth"], choices=list(RULES))
    parser.add_argument("--noise", nargs="+", type=float, default=[1e-2, 1e-3], help="σ (default 1e-2 1e-3)")
    parser.add_argument("--cells", nargs="+", type=int, default=[32], help="per side; ν·t grows with its square")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=["labels", "self-simulated"], choices=list(ALL_METHODS))
    parser.add_argument("--steps", type=int, default=800, help="at most")
    parser.add_argument("--seconds", type=float, help="of the processor that a training may take, whatever its steps")
    parser.add_argument("--batch", type=int, default=16, help="samples of the network a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate, with cosine decay")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the processor; 1 where many run side by side")
    parser.add_argument("--quick", action="store_true", help="a few steps")
    parser.add_argument("--output", type=Path, default=Path("label_free.jsonl"))
    parser.add_argument("--report", type=Path, nargs="+", metavar="FILE", help="show what is in files of --output only")
    options = parser.parse_args()
    if not TORCH.set_default_device(options.device.upper()):
        parser.error(f"PyTorch finds no {options.device.upper()}")
    return options


if __name__ == "__main__":
    main()
