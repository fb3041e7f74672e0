"""
Trains with a teacher as a rank of DistributedDataParallel, one of which meets bad data, and saves what it found.

    torchrun --standalone --nproc-per-node 2 torch_teacher.py FOLDER
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import phi.torch.flow  # noqa: F401 - makes PyTorch PhiFlow's default
import torch
from cases import POOLED, field, observed, with_bad_value
from phiml import math, nn
from torch.nn.parallel import DistributedDataParallel

from phi_sip import SelfSimulated, SipError, Teacher, sip_update_weights

RANK = int(os.environ["RANK"])
BAD_STEP, BAD_RANK = 2, 1


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    np.savez(folder / f"{RANK}.npz", **find())
    gc.collect()
    torch.distributed.destroy_process_group()


def find() -> dict[str, np.ndarray]:
    math.seed(RANK)
    net = DistributedDataParallel(nn.u_net(1, 1, levels=1, filters=4, batch_norm=False))
    optimizer, teacher = torch.optim.SGD(net.parameters(), 1e-4), Teacher(net)
    target, errors = SelfSimulated(0.0, batches=2, replays=1), []
    for step in range(4):
        values = observed(POOLED, step, RANK)
        if (step, RANK) == (BAD_STEP, BAD_RANK):
            values = with_bad_value(values, np.nan)
        try:
            y_target = field(torch.from_numpy(values))
            sip_update_weights(net, optimizer, POOLED, y_target, targets=target, teacher=teacher)
        except SipError as error:
            errors.append(type(error).__name__)
    with teacher.answering():
        average = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
    return {"errors": np.array(errors), "average": average.numpy(), "batches": np.array(len(teacher.buffer))}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
