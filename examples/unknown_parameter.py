"""
Finds a state together with a parameter of the physics that is not known: heat whose diffusivity differs by sample.

    ∂u/∂t = ν ∇²u,   ν log-uniform in [1/2, 2],   y = (u(t₁), u(t₂)) + noise of standard deviation σ

The state is x = {"u": a field, "log_nu": a number}, and the physics a function of it. Networks are trained with SIP,
through the physics (DP), and with labels; with ν known, which is the limit for u; and with SIP on top of the inverse:
the network is shown what the inverse makes of y, and adds to it. All train for the same processor time, the first three
each with the learning rate of its own that did best with the first seed. Errors are those on samples not seen before.
Writes a figure, `records.json` and `summary.md` to the output folder. Ctrl-C keeps what was done so far.

    python examples/unknown_parameter.py                    # 5 minutes on one core
    python examples/unknown_parameter.py --seconds 20       # a quarter of an hour
    python examples/unknown_parameter.py --quick            # seconds, to see that everything works
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
from figures.unknown_parameter import plot_errors
from inverse_alone import NAME
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math, nn
from phiml.math import Tensor, batch, channel, extrapolation, spatial
from rich.console import Console
from rich.progress import track
from rich.table import Table

from phi_sip import (
    DifferentiablePhysics,
    HeatEquation,
    Labels,
    LevenbergMarquardt,
    NonFiniteError,
    OptaxOptimizer,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.interrupts import interrupts_between_steps
from phi_sip.states import trees

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
TIMES = (1.0, 4.0)
LEAST, LARGEST = 0.5, 2.0  # ν
SCALE = {"u": 0.5, "log_nu": 0.4}  # standard deviations of what is to be found
INVERSE = LevenbergMarquardt(iterations=8)
BATCH, HELD_OUT, MEASUREMENTS = 32, 256, 12
TEST_SEED = 10**6


def simulate(x: dict[str, Any]) -> tuple[Field, ...]:
    """Heat at two times, for a diffusivity that is part of the state."""
    nu = math.exp(x["log_nu"])
    return tuple(HeatEquation(nu, t).forward(x["u"]) for t in TIMES)


def simulate_known(x: dict[str, Field], log_nu: Tensor) -> tuple[Any, ...]:
    """The same for a diffusivity that is observed, which the network is shown as a part of y."""
    return *simulate({"u": x["u"], "log_nu": log_nu}), log_nu


@dataclass(frozen=True)
class Method:
    """What a network is trained by; `rate` is that of another method, unless it has its own."""

    options: dict[str, Any] = field(default_factory=dict)
    is_known: bool = False
    adds: bool = False
    rate: str | None = None


METHODS = {
    "SIP": Method(),
    "DP": Method({"solver": "gradient"}),
    "labels": Method({"targets": Labels()}),
    "SIP, ν known": Method(is_known=True, rate="SIP"),
    "SIP on the inverse": Method(adds=True, rate="SIP"),
    "SIP on the inverse, ν known": Method(is_known=True, adds=True, rate="SIP"),
}
RATES = (1e-3, 2e-3, 4e-3)


@dataclass
class Run:
    """Errors of a network over processor time: of u, ‖u − u*‖ / ‖u* − mean u*‖; of ν, the r.m.s. of log ν − log ν*."""

    method: str
    rate: float
    seconds: list[float] = field(default_factory=list)
    u: list[float] = field(default_factory=list)
    nu: list[float] = field(default_factory=list)
    updates: int = 0


def make_states(samples: int, cells: int, seed: int | list[int]) -> dict[str, Any]:
    """Three rectangles each, and their diffusivity."""
    rng, places = np.random.default_rng(seed), np.arange(cells)
    u = np.zeros((samples, cells))
    for _ in range(3):
        start, width = rng.uniform(0, cells, (samples, 1)), rng.uniform(0.12, 0.45, (samples, 1)) * cells
        u += rng.uniform(0.5, 1.5, (samples, 1)) * ((places - start) % cells < width)
    log_nu = rng.uniform(np.log(LEAST), np.log(LARGEST), samples)
    return {"u": on_grid(u), "log_nu": math.tensor(log_nu, batch("batch"))}


def on_grid(values: np.ndarray) -> Field:
    cells = values.shape[1]
    tensor = math.tensor(values, batch("batch"), spatial("x"))
    return CenteredGrid(tensor, extrapolation.PERIODIC, bounds=Box(x=float(cells)), x=cells)


def observe(method: Method, x: dict[str, Any], noise: float, seed: int | list[int]) -> tuple[Any, ...]:
    """y, with the same noise whether ν is known or not."""
    rng = np.random.default_rng(seed)
    fields = [y + on_grid(noise * rng.standard_normal(y.values.numpy("batch,x").shape)) for y in simulate(x)]
    return *fields, *([x["log_nu"]] if method.is_known else [])


def middle(y: tuple[Any, ...]) -> dict[str, Any]:
    """What is known before anything is inverted: the first observation, and the middle of all ν."""
    return {"u": y[0], "log_nu": math.zeros(y[0].shape.batch) + 0.5 * np.log(LEAST * LARGEST)}


def physics_of(method: Method, noise: float, y: tuple[Any, ...]) -> DifferentiablePhysics:
    """The physics of an observation, which is told ν where that is known."""
    if method.is_known:
        return DifferentiablePhysics(simulate_known, {"log_nu": y[-1]}, noise)
    return DifferentiablePhysics(simulate, noise_std=noise, x_scale=SCALE)


def state_of(method: Method, x: dict[str, Any]) -> dict[str, Any]:
    return {"u": x["u"]} if method.is_known else x


def inverted(method: Method, noise: float, y: tuple[Any, ...]) -> dict[str, Any]:
    """What the inverse makes of y, without a network."""
    return sip_inverse(physics_of(method, noise, y), y, state_of(method, middle(y)), solver=INVERSE).x_target


def predictor(net: Any, method: Method, noise: float) -> Callable[[Any], Any]:
    """x = net(y), or x = x̂ + net(y, x̂) with what the inverse makes of y."""

    def predict(y: tuple[Any, ...]) -> dict[str, Any]:
        shown = [part.values if isinstance(part, Field) else part for part in y]
        x = inverted(method, noise, y) if method.adds else None
        if x is not None:
            shown += [x["u"].values, *([] if method.is_known else [x["log_nu"]])]
        with math.precision(32):
            cells = y[0].resolution
            inputs = math.stack([math.to_float(math.expand(part, cells)) for part in shown], channel("shown"))
            answer = math.native_call(net, inputs, channel_dim="out")
        found = {"u": y[0].with_values(math.to_float(answer.out[0]))}
        if not method.is_known:
            found["log_nu"] = math.mean(math.to_float(answer.out[1]), "x")
        return found if x is None else trees.add(x, found)

    return predict


def make_network(method: Method, framework: str, seed: int) -> Any:
    shown = len(TIMES) + method.is_known + (0 if not method.adds else 1 if method.is_known else 2)
    math.seed(seed)
    if framework == "tensorflow":
        import keras

        keras.utils.set_random_seed(seed)
    options = {} if framework == "jax" else {"periodic": True}
    with math.precision(32):
        return nn.u_net(shown, 2, levels=4, filters=16, batch_norm=False, in_spatial=1, **options)


def make_optimizer(net: Any, rate: float, framework: str) -> Any:
    if framework == "jax":
        import optax

        return OptaxOptimizer(net, optax.adam(rate))
    return nn.adam(net, rate)


def train(name: str, rate: float, seed: int, options: argparse.Namespace, check_interrupt: Callable[[], None]) -> Run:
    """Trains one network for `options.seconds` of processor time, compiling not counted."""
    method, run, spent, step = METHODS[name], Run(name, rate), 0.0, 0
    net = make_network(method, options.framework, seed)
    optimizer = make_optimizer(net, rate, options.framework)
    predict = predictor(net, method, options.noise)
    held_out = make_states(HELD_OUT, options.cells, TEST_SEED)
    y_held_out = observe(method, held_out, options.noise, [TEST_SEED, 1])
    measured = iter([*np.geomspace(options.seconds / 30, options.seconds, MEASUREMENTS), np.inf])
    due = next(measured)
    while spent < options.seconds:
        check_interrupt()
        x = make_states(BATCH, options.cells, [seed, step])
        y_target = observe(method, x, options.noise, [seed, step, 1])
        arguments = {"x_true": state_of(method, x)} if name == "labels" else {}
        start = time.process_time()
        try:
            sip_update_weights(
                net,
                optimizer,
                physics_of(method, options.noise, y_target),
                y_target,
                predict=predict,
                compile=options.framework != "torch" or None,
                **method.options,
                **arguments,
            )
        except NonFiniteError:  # nothing has changed; the run ends with the errors that it had
            break
        spent += (time.process_time() - start) * (step > 0)
        step += 1
        while spent >= due:
            due = next(measured)
            u, nu = errors(predict(y_held_out), held_out)
            for values, value in zip((run.seconds, run.u, run.nu), (spent, u, nu), strict=True):
                values.append(value)
    run.updates = step
    return run


def errors(found: dict[str, Any], x: dict[str, Any]) -> tuple[float, float]:
    """Those of u and ν, see `Run`."""
    u, truth = (part["u"].values.numpy("batch,x") for part in (found, x))
    of_u = np.linalg.norm(u - truth) / np.linalg.norm(truth - truth.mean(1, keepdims=True))
    if "log_nu" not in found:
        return float(of_u), 0.0
    difference = found["log_nu"].numpy("batch") - x["log_nu"].numpy("batch")
    return float(of_u), float(np.sqrt(np.mean(difference**2)))


def invert_alone(options: argparse.Namespace, is_known: bool) -> tuple[float, float]:
    """The errors of the inverse alone."""
    x, method = make_states(HELD_OUT, options.cells, TEST_SEED), Method(is_known=is_known)
    return errors(inverted(method, options.noise, observe(method, x, options.noise, [TEST_SEED, 1])), x)


def train_all(options: argparse.Namespace, console: Console) -> list[Run]:
    runs: list[Run] = []
    rates: dict[str, float] = {}
    jobs = [(name, seed) for name in METHODS for seed in range(options.seeds)]
    try:
        with interrupts_between_steps() as check_interrupt:
            for name, seed in track(jobs, "training", console=console):
                owner = METHODS[name].rate or name
                tried = [rates[owner]] if owner in rates else options.rates
                found = [train(name, rate, seed, options, check_interrupt) for rate in tried]
                best = min(found, key=lambda run: run.u[-1] + run.nu[-1] if run.u else np.inf)
                rates[owner] = best.rate
                runs.append(best)
    except KeyboardInterrupt:
        console.print("Interrupted: reporting the networks that were done.")
    return runs


def main() -> None:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])
    if options.framework == "torch":
        import torch

        torch.set_num_threads(1)
    console = Console()
    with math.precision(64):  # the physics; networks run in single precision
        alone = {NAME: invert_alone(options, False), f"{NAME}, ν known": invert_alone(options, True)}
        report(train_all(options, console), alone, options, console)


def report(
    runs: list[Run], alone: dict[str, tuple[float, float]], options: argparse.Namespace, console: Console
) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "records.json").write_text(
        json.dumps({"runs": [vars(r) for r in runs], "alone": alone}, indent=1)
    )
    columns = ("", "error of u", "error of ν", "learning rate", "updates")
    rows = [row_of(name, [run for run in runs if run.method == name and run.u]) for name in METHODS]
    for name, (u, nu) in alone.items():
        rows.append((name, f"{100 * u:.1f} %", f"{100 * nu:.2f} %" if nu else "", "", ""))
    table = Table(title=f"{options.seconds:g} s of processor time, {options.framework}, noise {options.noise:g}")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in filter(None, rows):
        table.add_row(*row)
        lines.append("| " + " | ".join(row) + " |")
    console.print(table)
    (options.output / "summary.md").write_text("\n".join(lines) + "\n")
    if any(run.u for run in runs):
        curves = {name: [run for run in runs if run.method == name and run.u] for name in METHODS}
        plot_errors(curves, alone[NAME]).savefig(options.output / "errors.png", dpi=150)
    console.print(f"The figure, records.json and summary.md are in {options.output}")


def row_of(name: str, runs: list[Run]) -> tuple[str, ...] | None:
    """Mean ± standard deviation over the seeds."""
    if not runs:
        return None

    def percent(values: list[float], digits: int) -> str:
        return f"{100 * np.mean(values):.{digits}f} ± {100 * np.std(values):.{digits}f} %"

    nu = "" if METHODS[name].is_known else percent([run.nu[-1] for run in runs], 2)
    updates = f"{np.mean([run.updates for run in runs]):.0f}"
    return name, percent([run.u[-1] for run in runs], 1), nu, f"{runs[0].rate:g}", updates


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="jax")
    parser.add_argument("--seconds", type=float, default=4.0, help="processor time per network (default 4)")
    parser.add_argument("--seeds", type=int, default=3, help="networks per method (default 3)")
    parser.add_argument("--noise", type=float, default=1e-3, help="σ > 0 (default 1e-3)")
    parser.add_argument("--cells", type=int, default=32, help="a multiple of 8 (default 32)")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="learning rates to try")
    parser.add_argument("--output", type=Path, default=Path("results/unknown_parameter"), help="folder")
    parser.add_argument(
        "--quick", action="store_true", help="one network per method, of 0.2 seconds, one learning rate"
    )
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.seeds, options.rates = 0.2, 1, [1e-3]
    if options.cells % 8 or min(options.seconds, options.seeds, options.noise, options.cells, *options.rates) <= 0:
        parser.error("seconds, seeds, noise and rates must be positive, cells a positive multiple of 8")
    return options


if __name__ == "__main__":
    main()
