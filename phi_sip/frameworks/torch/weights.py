"""PyTorch: a `state_dict`, read as tensors only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phiml.backend import Backend

from ...inference.measured import check_archive
from .call import call_module

FILE = "weights.pt"


def backend() -> Backend:
    from phi.torch import TORCH

    return TORCH


def save(net: Any, folder: Path) -> None:
    import torch

    torch.save(net.state_dict(), folder / FILE)


def load(net: Any, folder: Path) -> None:
    import torch

    tensors = net.state_dict().values()
    check_archive(folder / FILE, len(tensors), sum(tensor.numel() * tensor.element_size() for tensor in tensors))
    net.load_state_dict(torch.load(folder / FILE, map_location="cpu", weights_only=True))
    net.eval()


def evaluation(net: Any) -> Callable[[Any], Any]:
    import torch

    def evaluate(native: Any) -> Any:
        modes = [(module, module.training) for module in net.modules()]
        try:
            net.eval()
            with torch.no_grad():
                return call_module(net, native)
        finally:
            for module, mode in modes:
                module.training = mode

    return evaluate
