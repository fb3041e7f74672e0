"""PyTorch: step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import phi.torch.flow  # noqa: F401 makes PyTorch the default
import torch
from phi.torch import TORCH
from phiml import math, nn


def seed(seed: int) -> None:
    torch.manual_seed(seed)


def adam(net: Any, rate: float) -> Any:
    return nn.adam(net, rate)


def supervised_step(net: Any, optimizer: Any, y: np.ndarray, x: np.ndarray) -> Callable[[], float]:
    given, label = (torch.as_tensor(values[:, None], device=device()).float() for values in (y, x))

    def step() -> float:
        with math.precision(32):  # networks of PhiML look at it
            optimizer.zero_grad()
            loss = 0.5 * ((net(given) - label) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss.item()

    return step


def fft_pair(values: np.ndarray) -> Callable[[], Any]:
    tensor = torch.as_tensor(values, device=device())
    axes = tuple(range(1, tensor.ndim))
    return lambda: finished(torch.fft.irfftn(torch.fft.rfftn(tensor, dim=axes), s=tensor.shape[1:], dim=axes))


def device() -> str:
    """Where PhiFlow makes its tensors."""
    found: str = TORCH.get_default_device().ref
    return found


def finished(result: Any) -> Any:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result


def restart_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int | None:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
