"""JAX: real Fourier transforms and vector–Jacobian products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def rfftn(values: jax.Array, rank: int) -> jax.Array:
    return jnp.fft.rfftn(values, axes=range(-rank, 0))


def irfftn(coefficients: jax.Array, sizes: Sequence[int]) -> jax.Array:
    return jnp.fft.irfftn(coefficients, s=sizes, axes=range(-len(sizes), 0))


def vjp(function: Callable[..., list[Any]], inputs: Sequence[Any]) -> tuple[list[Any], Any]:
    outputs, pull = jax.vjp(function, *(jnp.asarray(value) for value in inputs))

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        return list(pull(list(cotangents)))

    return outputs, pullback
