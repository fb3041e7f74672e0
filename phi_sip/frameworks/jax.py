"""JAX: real Fourier and cosine transforms and vector–Jacobian products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.fft


def rfftn(values: jax.Array, rank: int) -> jax.Array:
    return jnp.fft.rfftn(values, axes=range(-rank, 0), norm="ortho")


def irfftn(coefficients: jax.Array, sizes: Sequence[int]) -> jax.Array:
    return jnp.fft.irfftn(coefficients, s=sizes, axes=range(-len(sizes), 0), norm="ortho")


@jax.jit  # type: ignore[untyped-decorator]
def dct(values: jax.Array) -> jax.Array:
    return jax.scipy.fft.dct(values, norm="ortho")


@jax.jit  # type: ignore[untyped-decorator]
def idct(coefficients: jax.Array) -> jax.Array:
    return jax.scipy.fft.idct(coefficients, norm="ortho")


def vjp(function: Callable[..., list[Any]], inputs: Sequence[Any]) -> tuple[list[Any], Any]:
    outputs, pull = jax.vjp(function, *(jnp.asarray(value) for value in inputs))

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        return list(pull(list(cotangents)))

    return outputs, pullback
