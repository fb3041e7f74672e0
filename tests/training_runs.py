"""Small trainings that tests run in this process and in others: `python training_runs.py FRAMEWORK FOLDER STEPS`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import frameworks
import numpy as np
from fields import periodic, smooth
from phiml import math

from phi_sip import HeatEquation, ProbabilisticDamping
from phi_sip.data.batches import Batch, by_step
from phi_sip.training import Callback, RunRecord, StepRecord, train

PHYSICS = HeatEquation(1.0, 1.0, 1e-4, ProbabilisticDamping())  # compiles quickly
ROWS = {row.name: row for row in frameworks.TABLE}


def sample(step: int) -> Batch:
    """The same for the same step."""
    x = periodic(1 + smooth(np.random.default_rng(step), 4, 16, 16))
    return Batch(PHYSICS.forward(x), x)


def network(framework: frameworks.Framework, **options: Any) -> tuple[Any, Any]:
    net = framework.u_net(batch_norm=framework.name != "jax", **options)
    return net, framework.adam(net)


def run(framework: frameworks.Framework, folder: Path | None = None, **options: Any) -> tuple[RunRecord, Any, Any]:
    """A training from the same beginning, and what it has trained."""
    net, optimizer = network(framework)
    given = {"validation": sample(1000), "progress": False, **options}
    given |= {"validate_every": given.get("validate_every", 4)} if given["validation"] is not None else {}
    given |= {"checkpoint_every": given.get("checkpoint_every", 3)} if folder is not None else {}
    with framework.backend:
        record = train(
            net, optimizer, given.pop("physics", PHYSICS), given.pop("data", by_step(sample)), folder=folder, **given
        )
    return record, net, optimizer


class Slow(Callback):
    """So that there is time to be killed."""

    def on_step(self, record: StepRecord) -> None:
        print(f"step {record.step}", flush=True)
        time.sleep(0.02)


def main() -> None:
    name, folder, steps = sys.argv[1:4]
    framework = ROWS[name]
    with math.precision(32):
        _, net, optimizer = run(framework, Path(folder), steps=int(steps), callbacks=[Slow()])
    np.savez(Path(folder) / "everything.npz", *framework.everything(net, optimizer))


if __name__ == "__main__":
    main()
