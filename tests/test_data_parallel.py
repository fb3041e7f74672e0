"""PyTorch's DistributedDataParallel: the ranks stay in step, as with PhiFlow's own `update_weights`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))  # spawned processes import this module by itself


def train_one_rank(rank: int, folder: str) -> None:
    from fields import periodic, smooth
    from phi.torch import TORCH

    from phi_sip import HeatEquation, sip_update_weights

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.manual_seed(rank)  # DDP starts all ranks from the weights of rank 0
    with TORCH:
        net = torch.nn.parallel.DistributedDataParallel(torch.nn.Conv2d(1, 1, 3, padding=1))
        optimizer = torch.optim.SGD(net.parameters(), 1e-3)
        physics = HeatEquation(1.0, 1.0)
        for step in range(3):
            x = periodic(smooth(np.random.default_rng([step, rank]), 2, 8, 8))
            sip_update_weights(net, optimizer, physics, physics.forward(x))
    np.save(f"{folder}/{rank}.npy", torch.nn.utils.parameters_to_vector(net.parameters()).detach().numpy())
    torch.distributed.destroy_process_group()


def test_ranks_stay_in_step(tmp_path):
    torch.multiprocessing.spawn(train_one_rank, (str(tmp_path),), nprocs=2)
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in range(2))
    np.testing.assert_array_equal(first, second)
