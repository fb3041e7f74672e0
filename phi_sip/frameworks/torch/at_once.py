"""What is asked of many tensors at once: a GPU answers in one transfer, for which the host waits once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

_FUSED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Tells whether all numbers in tensors of any type, dense or sparse, are finite, on each device at once."""
    groups: dict[tuple[torch.device, torch.dtype], list[torch.Tensor]] = {}
    for tensor in tensors:
        values = _numbers(tensor.detach())
        if values.is_floating_point() and values.numel():
            groups.setdefault((values.device, values.dtype), []).append(values)
    flags = [(device, _are_finite(group)) for (device, _), group in groups.items()]
    return _all(flags)


def all_equal(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> bool:
    """Tells whether the tensors of each pair are of one kind and hold the same numbers, on each device at once."""
    if not all(a.shape == b.shape and a.dtype == b.dtype and a.device == b.device for a, b in pairs):
        return False
    return _all([(a.device, (a == b).all()) for a, b in pairs])


def finite(tensor: torch.Tensor) -> torch.Tensor:
    """Tells element by element whether a tensor, dense or sparse, of any type, is finite."""
    return torch.isfinite(_stored(tensor))


def _are_finite(group: list[torch.Tensor]) -> torch.Tensor:
    """Tells whether the largest absolute value is finite in all tensors, of one type and on one device."""
    if group[0].dtype in _FUSED:
        return torch.isfinite(torch.stack(torch._foreach_norm(group, float("inf")))).all()
    return torch.stack([torch.isfinite(values).all() for values in group]).all()


def _numbers(tensor: torch.Tensor) -> torch.Tensor:
    """Returns what a tensor stores as real numbers."""
    values = _stored(tensor)
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout == torch.strided:
        return tensor
    return tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor.values()


def _all(flags: Sequence[tuple[torch.device, torch.Tensor]]) -> bool:
    """Reads one flag per device."""
    devices = {device for device, _ in flags}
    return all(bool(torch.stack([flag for place, flag in flags if place == device]).all()) for device in devices)
