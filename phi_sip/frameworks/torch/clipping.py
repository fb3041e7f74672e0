"""Gradients of PyTorch parameters, shortened to a norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch


@torch.no_grad()  # type: ignore[untyped-decorator]
def clip(parameters: Sequence[torch.Tensor], norm: float) -> None:
    """
    Shortens the gradient g of all parameters together, which may be sparse or complex, in place: g ← g · min(1, c /
    ‖g‖).

    The norm is computed of g / max |g|, as squares of large gradients would overflow.

    Args:
        parameters: Their `grad` is changed.
        norm: c.
    """
    known = [parameter for parameter in parameters if parameter.grad is not None]
    values = [_stored(parameter) for parameter in known]
    is_double = any(value.dtype in (torch.float64, torch.complex128) for value in values)
    kind = {"device": values[0].device, "dtype": torch.float64 if is_double else torch.float32}
    largest = torch.stack([_norm(value, float("inf")).to(**kind) for value in values]).max()
    unit = torch.where(largest > 0, largest, 1)
    lengths = [_norm(value / unit.to(value.device), 2).to(**kind) for value in values]
    length = torch.linalg.vector_norm(torch.stack(lengths))
    is_longer = length > norm / unit
    divisor, factor = torch.where(is_longer, unit, 1), torch.where(is_longer, norm / length, 1)
    for value in values:
        value.div_(divisor.to(value.device)).mul_(factor.to(value.device))


def _stored(parameter: torch.Tensor) -> torch.Tensor:
    """Returns the numbers that a gradient stores, each once, such that changing them changes it."""
    gradient = parameter.grad
    assert gradient is not None
    if gradient.layout == torch.strided:
        return gradient
    if gradient.layout == torch.sparse_coo:
        parameter.grad = gradient = gradient.coalesce()
    return gradient.values()


def _norm(values: torch.Tensor, order: float) -> torch.Tensor:
    """Computes a norm of all values, in single precision at least."""
    is_short = values.dtype in (torch.float16, torch.bfloat16)
    return torch.linalg.vector_norm(values, order, dtype=torch.float32 if is_short else None)
