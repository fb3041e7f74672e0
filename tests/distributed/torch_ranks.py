"""
Trains all cases with PyTorch, as rank of DistributedDataParallel or alone, and saves what it found.

    torchrun --standalone --nproc-per-node 2 torch_ranks.py FOLDER
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import phi.torch.flow  # noqa: F401 - makes PyTorch PhiFlow's default
import torch
from cases import (
    AS_ONE,
    BAD,
    BATCH_NORM,
    EPSILON,
    LEARNING_RATE,
    MICRO_BATCHES,
    STEPS,
    Case,
    field,
    observed,
    whole,
    with_bad_value,
)
from phiml import math, nn
from torch.nn.parallel import DistributedDataParallel

from phi_sip import SipError, sip_update_weights

LBFGS = Case("l-bfgs", optimizer="l-bfgs")  # which looks at the loss
RANK, RANKS = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    if RANKS > 1:
        torch.distributed.init_process_group("gloo")
    np.savez(folder / f"{RANK}.npz", **find())
    if RANKS > 1:
        gc.collect()  # networks that still hold the group would make the process abort at its end, now and then
        torch.distributed.destroy_process_group()


def find() -> dict[str, np.ndarray]:
    found = {case.name: Training(case).run() for case in (*AS_ONE, MICRO_BATCHES, LBFGS)}
    if RANKS > 1:
        training = Training(BATCH_NORM)
        found[BATCH_NORM.name] = training.run()
        found |= training.meet_bad_data()
    return found


class Training:
    """Network and optimizer of a case, and the step that a user would write."""

    def __init__(self, case: Case) -> None:
        self.case = case
        math.seed(RANK)  # DDP starts all ranks from the weights of rank 0
        self.net = nn.u_net(1, 1, levels=1, filters=4, batch_norm=case.batch_norm)
        if RANKS > 1:
            self.net = DistributedDataParallel(self.net)
        self.optimizer = make_optimizer(case.optimizer, self.net.parameters())

    def update(self, values: np.ndarray) -> None:
        y_target = field(torch.from_numpy(values))
        options = {"micro_batches": self.case.micro_batches, "clip_norm": self.case.clip_norm}
        sip_update_weights(self.net, self.optimizer, self.case.physics, y_target, **options)

    def data(self, step: int) -> np.ndarray:
        return observed(self.case.physics, step, RANK) if RANKS > 1 else whole(self.case.physics, step)

    def run(self) -> np.ndarray:
        """The weights after training."""
        for step in range(STEPS):
            self.update(self.data(step))
        return values(self.net.parameters())

    def meet_bad_data(self) -> dict[str, np.ndarray]:
        """What there is before and after updates that cannot be made on one rank, and after going on."""
        states, errors = [self.everything()], []
        for bad in BAD:
            good = self.data(STEPS)
            try:
                self.update(with_bad_value(good, bad) if RANK == 1 else good)
            except SipError as error:
                errors.append(type(error).__name__)
            states.append(self.everything())
        self.update(self.data(STEPS + 1))
        after = values(self.net.parameters())
        return {"kept": np.stack(states, 1), "errors": np.array(errors), "after": after}

    def everything(self) -> np.ndarray:
        slots = [value for slot in self.optimizer.state.values() for value in slot.values() if torch.is_tensor(value)]
        return values([*self.net.parameters(), *self.net.buffers(), *slots])


def make_optimizer(name: str, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(parameters, LEARNING_RATE, eps=EPSILON)
    if name == "l-bfgs":
        return torch.optim.LBFGS(parameters, max_iter=2, line_search_fn="strong_wolfe")
    return torch.optim.SGD(parameters, LEARNING_RATE)


def values(tensors: Iterable[torch.Tensor]) -> np.ndarray:
    """(1, values)."""
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors], dtype=float)[None]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
