"""How a PyTorch module is called on a native tensor."""

from __future__ import annotations

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
