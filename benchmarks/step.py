"""
What a SIP step costs against the published chapter's step, and the data against the chapter's loop.

Both run in one process, in turns, on the same data. The ratio is that of the medians;
the quartiles are of the ratios of single turns.

    python benchmarks/step.py --framework tensorflow --repeats 7
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import chapter
import numpy as np
from phiml import math, nn
from phiml.math import batch, spatial
from rich.console import Console
from rich.table import Table

from phi_sip import HeatEquation, sip_update_weights
from phi_sip.data import heat_rectangles

FLOW = {"tensorflow": "phi.tf.flow", "torch": "phi.torch.flow"}


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved(ours: Callable[[], object], theirs: Callable[[], object], turn: int) -> tuple[float, float]:
    """Times both, taking turns at being first."""
    if turn % 2:
        b = seconds(theirs)
        return seconds(ours), b
    return seconds(ours), seconds(theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="tensorflow")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--resolution", type=int, default=64)
    options = parser.parse_args()
    importlib.import_module(FLOW[options.framework])
    table = Table(
        title=f"{options.framework}, batch {options.batch}, {options.resolution}² cells, {options.repeats} repeats"
    )
    for name in ("what", "phi_sip [s]", "chapter [s]", "ratio", "quartiles"):
        table.add_column(name, justify="left" if name == "what" else "right")
    with math.precision(64):
        for name, (ours, theirs) in cases(options.batch, options.resolution).items():
            ours(), theirs()  # warm up
            pairs = np.array([interleaved(ours, theirs, turn) for turn in range(options.repeats)])
            low, high = np.quantile(pairs[:, 0] / pairs[:, 1], [0.25, 0.75])
            a, b = np.median(pairs, 0)
            ratio = a / b
            table.add_row(name, f"{a:.4f}", f"{b:.4f}", f"{ratio:.3f}", f"{low:.3f} – {high:.3f}")
    Console().print(table)


def cases(samples: int, cells: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Name → (ours, the chapter's)."""
    physics = HeatEquation(1.0, chapter.AMOUNT)
    dims = batch(batch=samples), spatial(x=cells, y=cells)
    x = heat_rectangles(*dims, seed=0)
    x_guess = heat_rectangles(*dims, seed=1)
    y, y_guess = physics.forward(x), physics.forward(x_guess)
    nets = [nn.u_net(1, 1) for _ in range(2)]
    optimizers = [nn.adam(net, 1e-3) for net in nets]

    def sip_step() -> object:
        # The chapter simulates the observation inside its step: so does this one.
        return sip_update_weights(nets[0], optimizers[0], physics, physics.forward(x), x_true=x)

    return {
        "data": (lambda: heat_rectangles(*dims, seed=2), lambda: chapter.rectangles(samples, cells)),
        "inverse": (
            lambda: physics.inverse(y, x_guess, y_guess).dx.values.native("batch,x,y"),
            lambda: chapter.inverse(y - y_guess).values.native("batch,x,y"),
        ),
        "training step": (sip_step, lambda: chapter.step(nets[1], optimizers[1], x)),
    }


if __name__ == "__main__":
    main()
