"""
Train a network that acts at every step: it sees the state that it has brought about, and drives it to a target.

Heat and Burgers' equation in one dimension, 32 steps (the setting of Holl, Thuerey, Koltun, ICLR 2020, experiment 1).
Scale-invariant physics (SIP) corrects the whole sequence of forces by a local inverse; differentiable physics (DP)
takes the gradient through all steps and all answers of the network, plain and clipped; `labels` are the forces that
have made the targets. `inverse alone` optimizes the forces of each sample directly, without a network. The problem
`state` has no forces: the network finds the state 32 steps before an observation.

Every method has the same processor time. Of DP each learning rate is tried with the first seed, and the best one goes
on with the others; SIP has one rate for all. Writes figures, `summary.md` and `errors.json` to the output folder.

    python examples/control.py                      # three problems, three seeds: 12 minutes of one core
    python examples/control.py --problems burgers --seconds 60 --seeds 1
    python examples/control.py --quick              # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from figures.control import plot_errors, plot_paths
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math, nn
from phiml.math import batch, channel, extrapolation, spatial
from rich.console import Console

from phi_sip import (
    Burgers,
    Control,
    HeatEquation,
    InvertiblePhysics,
    Labels,
    LevenbergMarquardt,
    OptaxOptimizer,
    SipError,
    sip_inverse,
    sip_update_weights,
)

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
CELLS, STEPS, TIME_STEP, VISCOSITY = 32, 32, 0.25, 0.5
VALIDATION, LOOKS = 16, 6  # samples, and how often their error is computed in a training

SIP_RATE, DP_RATES = 1e-2, (1e-3, 4e-3, 1e-2)
CLIP_NORM = 1.0


@dataclass(frozen=True)
class Method:
    """A way to train: rates that are tried, arguments of `sip_update_weights`, and how the loop is differentiated."""

    name: str
    rates: tuple[float, ...]
    arguments: dict[str, Any]
    stop_gradients: bool = False


METHODS = (
    Method("SIP", (SIP_RATE,), {}, stop_gradients=True),
    Method("DP", DP_RATES, {"solver": "gradient"}),
    Method("DP, clipped", DP_RATES[-1:], {"solver": "gradient", "clip_norm": CLIP_NORM}),
    Method("labels", (SIP_RATE,), {"targets": Labels()}, stop_gradients=True),
)


@dataclass(frozen=True)
class Batch:
    """Samples of a problem: the physics with their starts, y*, and the unknowns that have made it."""

    physics: InvertiblePhysics
    y_target: Field
    x_true: Field

    @cached_property
    def without_answer(self) -> float:
        """The square of the error that is left without an answer: no force; for a state, 0."""
        if isinstance(self.physics, Control):
            return l2(self.physics.forward(self.x_true * 0) - self.y_target)
        return l2(self.x_true)


@dataclass(frozen=True)
class Problem:
    """What is learned: batches by seed, and the answer of a network."""

    batch: Callable[[list[int], int], Batch]
    channels: int
    answer: Callable[..., Any]


def control(process: InvertiblePhysics, seed: list[int], samples: int) -> Batch:
    """Targets that a constant random force reaches from a random start."""
    rng = np.random.default_rng(seed)
    start, force = on_line(blobs(rng, samples, 2)), on_line(0.5 * blobs(rng, samples, 1))
    physics = Control(process, start, STEPS, time_step=TIME_STEP)
    forces = force.with_values(math.expand(force.values, channel(time=STEPS)))
    return Batch(physics, physics.forward(forces), forces)


def state(seed: list[int], samples: int) -> Batch:
    """Random states, observed 32 steps later."""
    physics, x = Burgers(VISCOSITY, TIME_STEP, STEPS), on_line(blobs(np.random.default_rng(seed), samples, 2))
    return Batch(physics, physics.forward(x), x)


def blobs(rng: np.random.Generator, samples: int, count: int) -> np.ndarray:
    """Sums of Gaussians of random place, width and sign on a periodic line, (batch, x)."""
    places = np.arange(CELLS) + 0.5
    center, width = rng.uniform(0, CELLS, (count, samples, 1)), rng.uniform(2, 5, (count, samples, 1))
    distance = (places - center + CELLS / 2) % CELLS - CELLS / 2
    return np.sum(rng.uniform(-1.5, 1.5, (count, samples, 1)) * np.exp(-(distance**2) / (2 * width**2)), 0)


def on_line(values: np.ndarray) -> Field:
    tensor = math.tensor(values.astype(np.float32), batch("batch"), spatial("x"))
    return CenteredGrid(tensor, extrapolation.PERIODIC, bounds=Box(x=CELLS), x=CELLS)


def act(net: Any, state: Field, target: Field, left: Any) -> Field:
    """The force that a network answers to a state, its target, and the part of the steps that is left."""
    seen = math.stack([state.values, target.values, math.expand(left, state.values.shape)], channel("seen"))
    return state.with_values(one_channel(net, seen))


def closed_loop(net: Any, physics: Control, y: Field, stop_gradients: bool) -> Field:
    return physics.rollout(partial(act, net), y, stop_gradients=stop_gradients)


def directly(net: Any, physics: InvertiblePhysics, y: Field, stop_gradients: bool) -> Field:
    return y.with_values(y.values + one_channel(net, y.values))


def one_channel(net: Any, seen: Any) -> Any:
    answer = math.native_call(net, seen, channel_dim="answer")
    return answer["answer", 0] if "answer" in answer.shape else answer


PROBLEMS = {
    "heat": Problem(partial(control, HeatEquation(VISCOSITY, TIME_STEP)), 3, closed_loop),
    "burgers": Problem(partial(control, Burgers(VISCOSITY, TIME_STEP, 1)), 3, closed_loop),
    "state": Problem(state, 1, directly),
}


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])  # makes it PhiFlow's default backend
    console, found = Console(), {}
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.problems:
        found[name] = compare(name, options, console)
        (options.output / "errors.json").write_text(json.dumps(found))
    (options.output / "summary.md").write_text(summary(found))
    plot_errors(found).savefig(options.output / "errors.png", dpi=150)
    console.print(f"Figures, summary.md and errors.json are in {options.output}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--seconds", type=float, default=15.0, help="processor time of each training (default 15)")
    parser.add_argument("--seeds", type=int, default=3, help="initial weights and training data (default 3)")
    parser.add_argument("--batch", type=int, default=8, help="samples per update (default 8)")
    parser.add_argument("--output", type=Path, default=Path("results/control"), help="folder (default results/control)")
    parser.add_argument("--quick", action="store_true", help="one seed, 1 second each, batch 2")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.seeds, options.batch = 1.0, 1, 2
    if min(options.seconds, options.seeds, options.batch) <= 0:
        parser.error("seconds, seeds and batch must be positive")
    return options


def compare(name: str, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Trains by all methods, each with its best rate; draws what the first network of each does with one sample."""
    problem, held_out = PROBLEMS[name], PROBLEMS[name].batch([10**6], VALIDATION)
    alone, seconds = invert_alone(held_out)
    answers, runs = {"inverse alone": alone}, {}
    levels = {"inverse alone": error(held_out, alone), "seconds a sample": seconds / VALIDATION}
    console.print(f"{name}: inverse alone {levels['inverse alone']:.3f}, {seconds / VALIDATION:.2f} s a sample")
    for method in METHODS:
        tried = {rate: train(problem, held_out, method, rate, 0, options) for rate in method.rates}
        best = min(tried, key=lambda rate: tried[rate][0][-1][2])
        curves = [tried[best][0]]
        curves += [train(problem, held_out, method, best, seed, options)[0] for seed in range(1, options.seeds)]
        answers[method.name] = tried[best][1]
        last = {f"{rate:g}": curve[-1][2] for rate, (curve, _) in tried.items()}
        runs[method.name] = {"rate": best, "rates": last, "curves": curves}
        errors = ", ".join(f"{curve[-1][2]:.3f}" for curve in curves)
        console.print(f"  {method.name:12} {curves[0][-1][0]:4d} steps   rate {best:g}   errors {errors}")
    if isinstance(held_out.physics, Control):
        paths = {method: path(held_out, x) for method, x in {"no force": held_out.x_true * 0, **answers}.items()}
        target = held_out.y_target.values.batch[0].numpy("x")
        plot_paths(target, paths).savefig(options.output / f"{name}.png", dpi=150)
    return {"levels": levels, "runs": runs}


def train(
    problem: Problem, held_out: Batch, method: Method, rate: float, seed: int, options: argparse.Namespace
) -> tuple[list[tuple[int, float, float]], Field]:
    """Returns steps, processor seconds and the error on held-out samples along the training, and the last answer."""
    net, optimizer = make_network(problem.channels, rate, seed, options)

    def answer(physics: InvertiblePhysics, y: Field, stop_gradients: bool = True) -> Field:
        return problem.answer(net, physics, y, stop_gradients)

    step, spent, next_look, curve = 0, 0.0, 0.0, []
    while True:
        if spent >= next_look:
            x = math.stop_gradient(answer(held_out.physics, held_out.y_target))
            curve.append((step, spent, error(held_out, x)))
            next_look += options.seconds / LOOKS
        if spent >= options.seconds:
            return curve, x
        samples = problem.batch([seed, step], options.batch)
        start = time.process_time()
        try:
            sip_update_weights(
                net,
                optimizer,
                samples.physics,
                samples.y_target,
                predict=lambda y, physics=samples.physics: answer(physics, y, method.stop_gradients),
                x_true=samples.x_true,
                compile=False if options.framework != "torch" else None,  # each batch begins elsewhere
                **method.arguments,
            )
        except SipError as reason:  # an update that is not finite: nothing was changed
            print(f"  {method.name}, step {step}: {reason}")
        spent, step = spent + time.process_time() - start, step + 1


def make_network(channels: int, rate: float, seed: int, options: argparse.Namespace) -> tuple[Any, Any]:
    """A small convolutional network, the same for all methods."""
    math.seed(seed)
    if options.framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(seed)  # math.seed gives every Keras network the same weights
    with math.precision(32):
        if options.framework == "jax":  # whose conv_net fails in PhiML
            net = nn.u_net(channels, 1, levels=1, filters=16, in_spatial=1)
        else:
            net = nn.conv_net(channels, 1, [16, 16, 16], in_spatial=1, periodic=True)
    if options.framework == "jax":
        import optax

        return net, OptaxOptimizer(net, optax.adam(rate))
    return net, nn.adam(net, rate)


def invert_alone(samples: Batch) -> tuple[Any, float]:
    """Optimizes the unknowns of each sample, without a network; returns them and the processor time."""
    start = time.process_time()
    x = samples.physics.initial_state(samples.y_target)
    solver = None if samples.physics.is_linear else LevenbergMarquardt(iterations=10)
    found = sip_inverse(samples.physics, samples.y_target, x, solver=solver).x_target
    return found, time.process_time() - start


def error(samples: Batch, x: Any) -> float:
    """What is left of the way to the target, ‖u_n − y*‖ ÷ the same without forces; for a state, ‖x − x*‖ ÷ ‖x*‖."""
    is_controlled = isinstance(samples.physics, Control)
    left = samples.physics.forward(x) - samples.y_target if is_controlled else x - samples.x_true
    return (l2(left) / samples.without_answer) ** 0.5


def l2(state: Field) -> float:
    return float(math.stop_gradient(math.l2_loss(state.values, state.values.shape)))


def path(samples: Batch, forces: Field) -> np.ndarray:
    """The states of the first sample, (time, x), from its start to its end."""
    physics = samples.physics
    watched = Control(physics.physics, physics.start, physics.steps, time_step=physics.time_step, trajectory=True)
    states = watched.forward(forces).values.batch[0].numpy("time,x")
    return np.concatenate([physics.start.values.batch[0].numpy("x")[None], states])


def summary(found: dict[str, Any]) -> str:
    """A table of errors: mean and range over the seeds."""
    lines = ["| problem | method | rate | steps | error | range |", "|---|---|---|---|---|---|"]
    for name, results in found.items():
        levels = results["levels"]
        took = f"{levels['seconds a sample']:.2f} s a sample"
        lines.append(f"| {name} | inverse alone | | {took} | {levels['inverse alone']:.3f} | |")
        for method, run in results["runs"].items():
            last = [curve[-1][2] for curve in run["curves"]]
            steps = run["curves"][0][-1][0]
            spread = f"{min(last):.3f} to {max(last):.3f}"
            lines.append(f"| {name} | {method} | {run['rate']:g} | {steps} | {np.mean(last):.3f} | {spread} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
