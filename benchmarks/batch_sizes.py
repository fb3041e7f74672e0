"""
Measures the memory of a training whose batches have many sizes:

    python benchmarks/batch_sizes.py --framework jax --steps 1000 --sizes 50

Each size comes once at first, then all in random order, ten steps at a time. Prints the memory of the process after the
tenth size and at the end; the exit code is 1 if they differ by more than 300 MB.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
FLOW = {"tensorflow": "phi.tf.flow", "jax": "phi.jax.flow", "torch": "phi.torch.flow"}
LARGEST = 300  # MB
CELLS = 8


def resident() -> float:
    """Memory of this process in MB."""
    import psutil

    gc.collect()
    return float(psutil.Process().memory_info().rss / 2**20)


def order_of_sizes(steps: int, sizes: int) -> list[int]:
    """Ten sizes first, then all of them at random, in blocks as of one epoch each."""
    rng = np.random.default_rng(0)
    found = list(range(1, 11)) + list(range(11, sizes + 1))
    while len(found) < steps:
        found += [int(size) for size in np.repeat(rng.permutation(np.arange(1, sizes + 1)), 10)]
    return found[:steps]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="jax")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--sizes", type=int, default=50)
    options = parser.parse_args()
    importlib.import_module(FLOW[options.framework])
    warnings.simplefilter("ignore")
    from frameworks import TABLE
    from phi.field import CenteredGrid
    from phiml import math
    from phiml.math import batch, extrapolation, spatial

    from phi_sip import HeatEquation, ProbabilisticDamping, sip_update_weights

    math.set_global_precision(64)
    row = next(row for row in TABLE if row.name == options.framework)
    net = row.u_net(in_spatial=1, batch_norm=False, levels=1, filters=2)
    optimizer, physics = row.adam(net), HeatEquation(1.0, 1.0, 1e-4, ProbabilisticDamping())
    start, tenth = time.perf_counter(), 0.0
    for step, size in enumerate(order_of_sizes(options.steps, options.sizes), 1):
        values = 1 + np.random.default_rng(step).normal(size=(size, CELLS))
        y_target = CenteredGrid(math.tensor(values, batch("batch"), spatial("x")), extrapolation.PERIODIC)
        sip_update_weights(net, optimizer, physics, y_target)
        if step == 10:
            tenth = resident()
        if step % 100 == 0:
            print(f"step {step}: {resident():.0f} MB, {time.perf_counter() - start:.0f} s", flush=True)
    grown = resident() - tenth
    print(f"{options.framework}: {tenth:.0f} MB after the tenth size, {grown:+.0f} MB after {options.steps} steps")
    return int(grown > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
