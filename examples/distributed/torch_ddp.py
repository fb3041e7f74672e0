"""
Train a network to invert heat conduction on several GPUs or processes: PyTorch's DistributedDataParallel.

One process per GPU, or per CPU core where there is no GPU. Each trains on its own part of the batch.

    torchrun --standalone --nproc-per-node 2 examples/distributed/torch_ddp.py --steps 50 --batch 32
"""

from __future__ import annotations

import gc
import os

import phi.torch.flow  # noqa: F401 - makes PyTorch PhiFlow's default backend
import torch
from arguments import parse_arguments
from phi.torch import TORCH
from phiml import math, nn
from phiml.math import batch, spatial
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from phi_sip import HeatEquation, sip_update_weights
from phi_sip.data import heat_rectangles, step_seed


def main() -> None:
    options = parse_arguments(__doc__)
    on_gpu = torch.cuda.is_available()
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        TORCH.set_default_device(TORCH.list_devices("GPU")[int(os.environ["LOCAL_RANK"])])
    train(options.steps, options.batch // distributed.get_world_size(), options.resolution)
    gc.collect()  # a network that still holds the group could make the process abort at its end
    distributed.destroy_process_group()


def train(steps: int, entries: int, resolution: int) -> None:
    """On `entries` samples per step and process."""
    rank, workers = distributed.get_rank(), distributed.get_world_size()
    net = DistributedDataParallel(nn.u_net(1, 1, periodic=True))  # with the weights of rank 0
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    physics = HeatEquation(diffusivity=1.0, time=8.0)
    shape = batch(batch=entries), spatial(x=resolution, y=resolution)
    with math.precision(64):  # the physics; the network runs in single precision
        for step in range(steps):
            x = heat_rectangles(*shape, seed=step_seed(0, step, rank))  # no other step or process sees the same
            update = sip_update_weights(net, optimizer, physics, physics.forward(x), x_true=x)
            loss = torch.stack([update.loss.native("batch").sum(), update.x_l2.native("batch").sum()])
            distributed.all_reduce(loss)
            if rank == 0:
                loss, x_loss = (loss / (entries * workers)).tolist()
                print(f"step {step}: loss {loss:.3f}  x loss {x_loss:.3f}", flush=True)


if __name__ == "__main__":
    main()
