"""PyTorch: real Fourier transforms and vector–Jacobian products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


def rfftn(values: torch.Tensor, rank: int) -> torch.Tensor:
    return torch.fft.rfftn(values, dim=tuple(range(-rank, 0)))


def irfftn(coefficients: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    return torch.fft.irfftn(coefficients, s=tuple(sizes), dim=tuple(range(-len(sizes), 0)))


def vjp(function: Callable[..., list[Any]], inputs: Sequence[Any]) -> tuple[list[Any], Any]:
    with torch.enable_grad():
        inputs = [torch.as_tensor(value).detach().requires_grad_() for value in inputs]
        outputs = function(*inputs)

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        connected = [(out, cot) for out, cot in zip(outputs, cotangents, strict=True) if out.requires_grad]
        if not connected:
            return [torch.zeros_like(value) for value in inputs]
        ends, cots = zip(*connected, strict=True)
        return list(torch.autograd.grad(ends, inputs, cots, allow_unused=True, materialize_grads=True))

    return outputs, pullback
