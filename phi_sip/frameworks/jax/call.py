"""How a network of PhiML on JAX is called on a native array."""

from __future__ import annotations

from typing import Any

import jax
from phiml import math


def call_stax(net: Any, native: Any) -> Any:
    """Evaluates the network on an array, in the floating point type of its parameters."""
    first = next(iter(jax.tree_util.tree_leaves(net.parameters)))
    with math.precision(64 if first.real.dtype == jax.numpy.float64 else 32):
        output = net(native.astype(first.real.dtype))
    is_real = hasattr(output, "dtype") and jax.numpy.issubdtype(output.dtype, jax.numpy.floating)
    return output.astype(native.dtype) if is_real else output
