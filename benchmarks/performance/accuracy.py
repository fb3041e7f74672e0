"""
How soon SIP is as accurate as the chapter's training through the physics (DP) at its end.

Both train in turns, from the same weights, each on data of its own: the chapter's made by the chapter, SIP's ahead of
time by `phi_sip.data`. After every step, with the clock stopped, both are evaluated on one batch that the chapter made.
The inverse alone, by the default rule, is evaluated on the same batch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import chapter
import numpy as np
from native import use
from phi.field import Field, l2_loss, mean, native_call
from phiml import math
from problem import heat, new_network, observed_rectangles
from rich.progress import track
from settings import Settings
from timing import Row, elapsed

from phi_sip import ProbabilisticDamping, sip_inverse, sip_update_weights
from phi_sip.data import Samples, prefetched, step_seed

DP, SIP = "chapter, through the physics", "SIP, damping, data made ahead"
PERIODIC = "SIP, damping, data made ahead, periodic network"
LAST = 5  # steps whose mean is the error at the end


@dataclass
class Run:
    """
    A network in training.

    Attributes:
        step: Gets data and trains once.
        seconds: Of each step.
        errors: ½ ‖x − x*‖² of the network on the validation batch after each step.
    """

    method: str
    rate: float
    seed: int
    net: Any
    step: Callable[[], object]
    seconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def advance(self, validation: Field) -> None:
        self.seconds.append(elapsed(self.step))
        self.errors.append(error(self.net, validation))

    @property
    def end(self) -> float:
        """The error at the end."""
        return float(np.mean(self.errors[-LAST:]))

    @property
    def preparation(self) -> float:
        """What the first step took longer than others: compiling."""
        return max(0.0, self.seconds[0] - float(np.median(self.seconds[1:])))

    def time_of(self, steps: int) -> float:
        """Seconds of so many steps, less the preparation."""
        return sum(self.seconds[:steps]) - self.preparation

    def steps_to(self, goal: float) -> int | None:
        """Steps until the error was first at or below `goal`."""
        return next((i for i, value in enumerate(self.errors, 1) if value <= goal), None)


def measure(settings: Settings) -> dict[str, Any]:
    use(settings.framework)
    with math.precision(64):
        seeds = {seed: trained(settings, seed) for seed in settings.sizes.seeds}
        alone = {seed: error_alone(validation_batch(settings, seed)) for seed in seeds}
    published, best, every = [], [], []
    for seed, runs in seeds.items():
        through_physics = [run for run in runs if run.method == DP]
        inverting = [run for run in runs if run.method != DP]
        goal = min(through_physics, key=lambda run: run.end)
        every += [row(run, goal.end) for run in runs]
        beside = {"alone": alone[seed]}
        best.append(comparison(seed, goal, inverting) | beside)
        published += [comparison(seed, run, inverting) | beside for run in through_physics if run.rate == chapter.RATE]
    sizes = settings.sizes
    title = f"{sizes.cells}² cells, batch {sizes.batch}, {sizes.steps} steps"
    tables = {
        f"Time to the error of the chapter's training through the physics at its end, its own rate, {title}": published,
        f"Time to the error of training through the physics at its end, best rates, {title}": best,
        f"All rates, {title}": every,
    }
    return {
        "tables": {name: rows for name, rows in tables.items() if rows},
        "curves": [curve(run) for runs in seeds.values() for run in runs],
    }


def trained(settings: Settings, seed: int) -> list[Run]:
    """All runs of a seed, in turns."""
    sizes, validation = settings.sizes, validation_batch(settings, seed)
    with ExitStack() as stack:
        kinds = (chapter_run, sip_run, periodic_run)
        runs = [make(settings, rate, seed, stack) for rate in settings.rates for make in kinds]
        math.seed(seed + 1)  # the chapter's data
        for _ in track(range(sizes.steps), f"accuracy, {settings.framework}, seed {seed}"):
            for run in runs:
                run.advance(validation)
    return runs


def validation_batch(settings: Settings, seed: int) -> Field:
    """States that the chapter made, the same for all runs of a seed."""
    math.seed(seed)
    return chapter.rectangles(settings.sizes.batch, settings.sizes.cells)


def chapter_run(settings: Settings, rate: float, seed: int, stack: ExitStack) -> Run:
    net, optimizer = new_network(settings, rate, seed)
    sizes = settings.sizes

    def step() -> float:
        x = chapter.rectangles(sizes.batch, sizes.cells)
        return float(chapter.step(net, optimizer, x, sip=False)[0].mean)

    return Run(DP, rate, seed, net, step)


def periodic_run(settings: Settings, rate: float, seed: int, stack: ExitStack) -> Run:
    """With a network that knows that the domain is periodic, as that of `examples/heat_inversion.py`."""
    return sip_run(settings, rate, seed, stack, PERIODIC, periodic=True)


def sip_run(settings: Settings, rate: float, seed: int, stack: ExitStack, method: str = SIP, **options: Any) -> Run:
    net, optimizer = new_network(settings, rate, seed, **options)
    sizes, physics = settings.sizes, heat(ProbabilisticDamping())
    make = observed_rectangles(sizes.batch, sizes.cells)
    of_step = Samples(lambda step: make.draw(step_seed(seed, step)), make.finish)
    data = stack.enter_context(closing(prefetched(of_step, range(sizes.steps))))

    def step() -> float:
        x, y = next(data)
        return float(sip_update_weights(net, optimizer, physics, y, x_true=x).loss.mean)

    return Run(method, rate, seed, net, step)


def error(net: Any, x: Field) -> float:
    """½ ‖x − x*‖², mean over a batch, of the network as the chapter calls it."""
    y = heat().forward(x)
    with math.precision(32):
        prediction = native_call(net, y)
    prediction += mean(x) - mean(prediction)
    return float(l2_loss(x - prediction).mean)


def error_alone(x: Field) -> float:
    """The same of the inverse alone, without a network."""
    physics = heat()
    y = physics.forward(x)
    return float(l2_loss(x - sip_inverse(physics, y, physics.initial_state(y)).x_target).mean)


def row(run: Run, goal: float) -> Row:
    steps = run.steps_to(goal)
    return {
        "case": run.method,
        "seed": run.seed,
        "rate": run.rate,
        "end": run.end,
        "goal": goal,
        "steps_to_goal": steps,
        "to_goal": None if steps is None else run.time_of(steps),
        "step": float(np.median(run.seconds)),
        "preparation": run.preparation,
    }


def comparison(seed: int, goal: Run, runs: list[Run]) -> Row:
    """
    The SIP run that was first at the error of `goal` at its end, in units of all the time that `goal` took, and of the
    time until it first had this error itself, which may be before its end.
    """
    fastest = min(runs, key=lambda run: (run.steps_to(goal.end) or len(run.errors) + 1, run.end))
    steps, first = fastest.steps_to(goal.end), goal.steps_to(goal.end)
    total, time = goal.time_of(len(goal.seconds)), None if steps is None else fastest.time_of(steps)
    return {
        "seed": seed,
        "fastest": fastest.method,
        "goal": goal.end,
        "chapter_rate": goal.rate,
        "chapter_seconds": total,
        "sip_rate": fastest.rate,
        "sip_steps": steps,
        "sip_seconds": time,
        "compiling": fastest.preparation,
        "ratio": time and time / total,
        "ratio_with_compiling": time and (time + fastest.preparation) / (total + goal.preparation),
        "ratio_to_first": time and first and time / goal.time_of(first),
    }


def curve(run: Run) -> Row:
    """Error over seconds of training."""
    times = np.cumsum(run.seconds) - run.preparation
    return {
        "method": run.method,
        "rate": run.rate,
        "seed": run.seed,
        "seconds": times.tolist(),
        "errors": run.errors,
        "end": run.end,
    }
