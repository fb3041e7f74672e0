"""
Measures what records, files and progress of `phi_sip.train` add to a step. Steps of `train` and a bare
`sip_update_weights` take turns.

    python benchmarks/loop.py                     # 64², batch 128; two minutes on two cores
    python benchmarks/loop.py --framework torch --steps 50

Exits with 1 if the median of the ratios exceeds 1.02.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from performance.timing import WARM_UP, elapsed
from phiml import math
from rich.console import Console

from phi_sip import sip_update_weights
from phi_sip.data import Batch
from phi_sip.experiment import build, read_experiment
from phi_sip.experiment.building import Built
from phi_sip.experiment.specification import QUICK

BOUND = 1.02


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=["tensorflow", "torch", "jax"], default="tensorflow")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="small steps, to see that it runs; no bound")
    options = parser.parse_args()
    steps = WARM_UP + options.steps
    plan = {"steps": steps, "validate_every": steps, "checkpoint_every": steps}
    tables: dict[str, Any] = {"experiment": {"framework": options.framework}, "training": plan}
    experiment = read_experiment(None, [*([QUICK] if options.quick else []), tables])
    in_loop, alone = turns(build(experiment), build(experiment))
    ratios = np.divide(in_loop, alone[: len(in_loop)])[WARM_UP:]
    low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    Console().print(f"A step of train ÷ a bare one: {median:.3f} (quartiles {low:.3f} to {high:.3f})")
    return 0 if options.quick or median <= BOUND else 1


def turns(looped: Built, bare: Built) -> tuple[list[float], list[float]]:
    """
    Returns the seconds of each step of `train`, its data excluded, and of a bare update of another network before each.
    The last step is left out, as no data are asked for after it.
    """
    batch = next(looped.data(1))
    in_loop: list[float] = []
    alone: list[float] = []

    def data(step: int) -> Iterator[Batch]:
        while True:
            alone.append(elapsed(lambda: update(bare, batch)))
            start = time.perf_counter()
            yield batch
            in_loop.append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        dataclasses.replace(looped, data=data).train(Path(folder))
    return in_loop, alone


def update(built: Built, batch: Batch) -> float:
    with math.precision(built.experiment.experiment.precision):
        made = sip_update_weights(built.net, built.optimizer, built.physics, batch.y_target, x_true=batch.x_true)
        return float(made.loss.mean)


if __name__ == "__main__":
    sys.exit(main())
