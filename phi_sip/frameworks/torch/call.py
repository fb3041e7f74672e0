"""How a PyTorch module is called on a native tensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from phiml import math


def call_module(net: Any, native: Any) -> Any:
    """Evaluates the network on a tensor, in the floating point type and on the device of its weights."""
    weights = (p for p in net.parameters() if p.is_floating_point() or p.is_complex())
    first = next(weights, None)
    dtype = torch.float32 if first is None else first.dtype.to_real()
    given = native.to(device=native.device if first is None else first.device, dtype=dtype)
    with math.precision(64 if dtype == torch.float64 else 32):  # networks of PhiML convert to it
        output = net(given.clone() if given.is_inference() else given)
    return output.to(native) if torch.is_tensor(output) and output.is_floating_point() else output


def modules_of(net: Any) -> list[Any]:
    """Returns the modules of one network, or of several."""
    return list(net) if isinstance(net, (list, tuple)) else [net]


@contextmanager
def evaluating(net: Any) -> Iterator[None]:
    """Turns gradients off, and puts all modules into inference mode; those that train do so again afterwards."""
    parts = [part for module in modules_of(net) for part in module.modules()]
    modes = [(part, part.training) for part in parts]
    try:
        for module in modules_of(net):
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode
