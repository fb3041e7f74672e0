"""JAX with optax: pure functions, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import phi.jax.flow  # noqa: F401 makes JAX the default
from phiml import math

from phi_sip import OptaxOptimizer


def seed(seed: int) -> None:
    math.seed(seed)


def adam(net: Any, rate: float) -> OptaxOptimizer:
    return OptaxOptimizer(net, optax.adam(rate))


def supervised_step(net: Any, optimizer: OptaxOptimizer, y: np.ndarray, x: np.ndarray) -> Callable[[], float]:
    given, label = (jnp.asarray(values[..., None], jnp.float32) for values in (y, x))
    transformation = optimizer.transformation

    @jax.jit
    def step(parameters: Any, state: Any, given: jax.Array, label: jax.Array) -> tuple[Any, Any, jax.Array]:
        def loss_of(parameters: Any) -> jax.Array:
            return 0.5 * ((net._apply(parameters, given) - label) ** 2).sum()  # without PhiML's own state

        loss, gradients = jax.value_and_grad(loss_of)(parameters)
        changes, state = transformation.update(gradients, state, parameters)
        return optax.apply_updates(parameters, changes), state, loss

    def run() -> float:
        with math.precision(32):  # networks of PhiML look at it
            net.parameters, optimizer.state, loss = step(net.parameters, optimizer.state, given, label)
            return float(loss)

    return run


def fft_pair(values: np.ndarray) -> Callable[[], Any]:
    array = jnp.asarray(values)
    axes = tuple(range(1, array.ndim))
    pair = jax.jit(lambda a: jnp.fft.irfftn(jnp.fft.rfftn(a, axes=axes), a.shape[1:], axes=axes))
    return lambda: finished(pair(array))


def finished(result: Any) -> Any:
    return jax.block_until_ready(result)


def restart_peak() -> None:
    """JAX has no way to do so."""


def peak_bytes() -> int | None:
    found = jax.devices()[0].memory_stats()
    return None if found is None else found["peak_bytes_in_use"]
