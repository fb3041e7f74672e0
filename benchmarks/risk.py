"""
How well the risk, which needs no true state, ranks the states of a run, and what the guard makes of the network.

    python benchmarks/risk.py                                               # all: an hour on two cores
    python benchmarks/risk.py --noise 1e-2 --methods self-simulated
    python benchmarks/risk.py --quick                                       # tiny, to see that it runs

Networks and data are those of `benchmarks/label_free.py`: on top of the inverse, and on y alone, on PyTorch. σ is
measured, not told. A row says, for the validation samples of a run: Spearman's rank correlation of risk and ½ ‖x − x*‖²
over the run, the true error ÷ that of the inverse alone at its end, at its best, and where the risk is least. Then, for
256 other samples, the error of the network ÷ that of the inverse alone without and with the guard, which is fitted to
the observations of the validation, and its gain g; and the part of the true values that lie in the 95 % interval around
the guarded states, which is fitted likewise. Needs the packages of `pip install ".[test]"` and rich.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from label_free import METHODS, RULES, Network, Problem, Untaught, errors, grid
from phi.field import Field
from phi.torch import TORCH
from phiml import math
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from phi_sip import (
    Batch,
    EarlyStopping,
    Guard,
    Labels,
    Teacher,
    fit_guard,
    fit_interval,
    predict_state,
    sip_inverse,
    start_from_estimate,
    train,
)

NEVER = 10**6  # validations
SHOWN = ("rank correlation", "last", "best", "least risk", "others", "guarded", "gain", "within")


def run(
    problem: Problem, others: Problem, method: str, seed: int, steps: int, every: int, samples: int
) -> dict[str, object]:
    """Trains a network, compares the risk with the true error along the run, and guards the network."""
    target, inputs = METHODS[method]
    torch.manual_seed(seed)
    math.seed(seed)
    net = Network(len(inputs))
    if "estimate" in inputs:
        start_from_estimate(net, problem.physics, grid(problem.y[:16]), inputs=inputs)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    teacher = None if isinstance(target, Untaught) else Teacher(net)
    size = samples // target.copies if isinstance(target, Untaught) else samples

    def data(step: int) -> Iterator[Batch]:
        for y, x_true in problem.batches(size, seed):
            yield Batch(y, x_true if isinstance(target, Labels) else None)

    record = train(
        net,
        optimizer,
        problem.physics,
        data,
        steps=steps,
        stop=[EarlyStopping("risk", patience=NEVER)],
        validation=Batch(grid(problem.y_held), grid(problem.truths_held)),
        validate_every=every,
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        progress=False,
        inputs=inputs,
        targets=target,
        teacher=teacher,
    )
    if teacher is not None:
        teacher.take_over()
    risks, ratios = record.errors("risk"), np.array(record.errors("x_l2")) / problem.alone.mean()
    physics, y = problem.physics, grid(others.y_held)
    guard = fit_guard(net, physics, grid(problem.y_held), inputs=inputs)
    interval = fit_interval(net, physics, grid(problem.y_held), inputs=inputs, guard=guard)

    def found(guard: Guard | None) -> Field:
        return predict_state(net, physics, y, inputs=inputs, guard=guard)

    def ratio(x: Field) -> float:
        return float(errors(x, others.truths_held).mean() / others.alone.mean())

    width = interval.half_width(sip_inverse(physics, y, physics.initial_state(y)).uncertainty)
    off, widest = (found(guard) - grid(others.truths_held)).values.numpy("batch,x,y"), width.values.numpy("batch,x,y")
    return {
        "rank correlation": float(spearmanr(risks, ratios).statistic),
        "last": float(ratios[-1]),
        "best": float(ratios.min()),
        "least risk": float(ratios[np.argmin(risks)]),
        "others": ratio(found(None)),
        "guarded": ratio(found(guard)),
        **guard.describe(),
        "within": float((np.abs(off) <= widest).mean()),
        **interval.describe(),
        "risks": risks,
        "errors": ratios.tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["rectangles"], choices=list(RULES))
    parser.add_argument("--noise", nargs="+", type=float, default=[1e-2, 1e-3], help="σ (default 1e-2 1e-3)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--methods", nargs="+", default=["self-simulated", "local inverse, y alone"], choices=list(METHODS)
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=20, help="steps between validations")
    parser.add_argument("--held-out", type=int, default=1024, help="validation samples")
    parser.add_argument("--batch", type=int, default=16, help="samples of the network a step")
    parser.add_argument("--quick", action="store_true", help="a few steps")
    parser.add_argument("--output", type=Path, default=Path("risk.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    math.set_global_precision(32)
    steps, every, count, held_out = (
        (4, 1, 32, 16) if options.quick else (options.steps, options.every, 2048, options.held_out)
    )
    table = Table("data", "σ", "seed", "method", *SHOWN)
    with TORCH:
        for data, noise, seed in ((d, n, s) for d in options.data for n in options.noise for s in options.seeds):
            problem = Problem(data, noise, 32, seed, count, held_out)
            others = Problem(data, noise, 32, seed + 1, 1, 256 if not options.quick else 16)
            for method in options.methods:
                row = run(problem, others, method, seed, steps, every, options.batch)
                about = {"data": data, "noise": noise, "seed": seed, "method": method, "steps": steps}
                with options.output.open("a") as file:
                    file.write(json.dumps({**about, **row}) + "\n")
                table.add_row(data, f"{noise:g}", str(seed), method, *(f"{row[name]:.3f}" for name in SHOWN))
    Console().print(table)


if __name__ == "__main__":
    main()
