"""JAX: real Fourier and cosine transforms and vector–Jacobian products."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.fft
import numpy as np

from ...contract.operations import ScanStep, SymmetricSystem

COMPILES = True
COMPILES_OPERATIONS = True


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


def vmap(function: Callable[[Any], list[Any]], stack: Any) -> list[Any]:
    return list(jax.vmap(function)(stack))


def linearize(function: Callable[[Any], Any], x: Any) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
    """Returns f(x), d ↦ J d by forward mode, and v ↦ Jᵀ v as the transpose of it."""
    x = jnp.asarray(x)
    y, push = jax.linearize(function, x)
    pull = jax.linear_transpose(push, x)
    return y, push, lambda v: pull(v)[0]


def implicit_solve(system: SymmetricSystem, coefficients: Sequence[Any], b: Any) -> Any:
    return _implicit_solve(system, tuple(coefficients), b)


@partial(jax.jit, static_argnums=0)  # which is traced once for each system
def _implicit_solve(system: SymmetricSystem, coefficients: tuple[Any, ...], b: Any) -> Any:
    constant = jax.lax.stop_gradient(coefficients)
    return jax.lax.custom_linear_solve(
        lambda u: system.multiply(coefficients, u), b, lambda _, rhs: system.solve(constant, rhs), symmetric=True
    )


def hessian(objective: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Returns gradient (rows, n) and Hessian (rows, n, n) of an objective with one value per row."""
    gradient = jax.grad(lambda rows: jnp.sum(objective(rows)))
    units = jnp.broadcast_to(jnp.eye(x.shape[1], dtype=x.dtype)[:, None], (x.shape[1], *x.shape))
    columns = jax.vmap(lambda d: jax.jvp(gradient, (x,), (d,))[1])(units)
    return gradient(x), jnp.moveaxis(columns, 0, 2)


def repeated(step: Callable[[Any], Any], state: Any, count: int) -> Any:
    if any(isinstance(value, jax.core.Tracer) for value in jax.tree_util.tree_leaves(state)):
        return jax.lax.scan(lambda value, _: (step(value), None), state, None, length=count)[0]
    for _ in range(count):
        state = step(state)
    return state


def repeated_one_of(
    step: Callable[[Any], Any], state: Any, counts: Sequence[int], which: Any, differentiable: bool
) -> Any:
    """
    For derivatives it chooses among loops of fixed length, as JAX has no reverse mode for others. It makes room for
    what each of them keeps, whichever is chosen: so all but the first keep nothing, and compute it again.
    """
    if not differentiable:
        return jax.lax.fori_loop(0, jnp.asarray(counts)[which], lambda _, value: step(value), state)

    def loop(count: int) -> Callable[[Any], Any]:
        return lambda start: jax.lax.scan(lambda value, _: (step(value), None), start, None, length=count)[0]

    first, *others = (loop(count) for count in counts)
    return jax.lax.switch(which, [first, *(jax.checkpoint(other) for other in others)], state)


def scan(
    step: ScanStep, state: list[Any], first: list[Any], inputs: list[Any], count: int
) -> tuple[list[Any], list[Any]]:
    end, rows = jax.lax.scan(step, state, inputs, length=count)
    return end, [jnp.concatenate([one[None], more]) for one, more in zip(first, rows, strict=True)]


def eigh(matrices: Any) -> tuple[Any, Any]:
    values, vectors = jnp.linalg.eigh(matrices)
    return values, vectors


def where_rows(flags: Any, values: Any, others: Any) -> Any:
    return jnp.where(jnp.reshape(flags, (-1, *(1 for _ in values.shape[1:]))), values, others)


def tanh(values: Any) -> Any:
    return jnp.tanh(values)


def fold(step: Callable[[Any, Any, Any], Any], constants: Any, state: Any, numbers: Sequence[float]) -> Any:
    first = jax.tree_util.tree_leaves(state)[0]
    return _fold(step, constants, state, np.asarray(numbers, first.dtype))


@partial(jax.jit, static_argnums=0)  # which is traced once for each step
def _fold(step: Callable[[Any, Any, Any], Any], constants: Any, state: Any, numbers: Any) -> Any:
    return jax.lax.scan(lambda now, number: (step(constants, now, number), None), state, numbers)[0]


def compile(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(function)  # type: ignore[no-any-return]


def drop_operations() -> None:
    """Drops what JAX has compiled, in the user's program too; it is compiled again when it is needed."""
    jax.clear_caches()
    gc.collect()
