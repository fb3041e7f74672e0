"""Gradients of JAX parameters, shortened to a norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import numpy as jnp


def clipped(gradients: Sequence[Any], norm: float) -> list[Any]:
    """
    Returns the gradient g of all parameters together, which may be complex or missing, as g · min(1, c / ‖g‖).

    The norm is computed of g / max |g|, as squares of large gradients would overflow.

    Args:
        gradients: One for each parameter.
        norm: c.
    """
    known = [gradient for gradient in gradients if gradient is not None]
    dtype = jnp.result_type(jnp.float32, *(gradient.real.dtype for gradient in known))
    sizes = [jnp.abs(gradient).astype(dtype) for gradient in known]
    largest = jnp.stack([size.max(initial=0) for size in sizes]).max()
    unit = jnp.where(largest > 0, largest, 1)
    length = jnp.sqrt(sum(jnp.sum((size / unit) ** 2) for size in sizes))
    is_longer = length > norm / unit

    def shortened(gradient: Any) -> Any:
        unit_of_it, factor = unit.astype(gradient.dtype), (norm / length).astype(gradient.dtype)
        return jnp.where(is_longer, gradient / unit_of_it * factor, gradient)

    return [None if gradient is None else shortened(gradient) for gradient in gradients]
