"""PyTorch: step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import phi.torch.flow  # noqa: F401 makes PyTorch the default
import torch
from phiml import math, nn


def seed(seed: int) -> None:
    torch.manual_seed(seed)


def adam(net: Any, rate: float) -> Any:
    return nn.adam(net, rate)


def supervised_step(net: Any, optimizer: Any, y: np.ndarray, x: np.ndarray) -> Callable[[], float]:
    given, label = (torch.as_tensor(values[:, None]).float() for values in (y, x))

    def step() -> float:
        with math.precision(32):  # networks of PhiML look at it
            optimizer.zero_grad()
            loss = 0.5 * ((net(given) - label) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss.item()

    return step


def fft_pair(values: np.ndarray) -> Callable[[], Any]:
    tensor = torch.as_tensor(values)
    return lambda: torch.fft.irfft2(torch.fft.rfft2(tensor), s=tensor.shape[-2:]).numpy()
