"""TensorFlow: real Fourier and cosine transforms that can be differentiated, and vector–Jacobian products."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ...contract.operations import ScanStep, SymmetricSystem

COMPILES = True
COMPILES_OPERATIONS = False

# tf.signal.rfft3d has no gradient: ranks above two are a rank-two real transform, then complex ones axis by axis.
_REAL = {1: (tf.signal.rfft, tf.signal.irfft), 2: (tf.signal.rfft2d, tf.signal.irfft2d)}


def _along(function: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor, axis: int) -> tf.Tensor:
    order = list(range(values.shape.rank))
    order[axis], order[-1] = order[-1], order[axis]
    return tf.transpose(function(tf.transpose(values, order)), order)


def rfftn(values: tf.Tensor, rank: int) -> tf.Tensor:
    result = _REAL[min(rank, 2)][0](values)
    for axis in range(-rank, -2):
        result = _along(tf.signal.fft, result, axis)
    return result * tf.constant(math.prod(values.shape[-rank:]) ** -0.5, result.dtype)


def irfftn(coefficients: tf.Tensor, sizes: Sequence[int]) -> tf.Tensor:
    for axis in range(-len(sizes), -2):
        coefficients = _along(tf.signal.ifft, coefficients, axis)
    real_sizes = list(sizes[-2:])
    values = _REAL[len(real_sizes)][1](coefficients, fft_length=real_sizes)
    return values * tf.constant(math.prod(sizes) ** 0.5, values.dtype)


def dct(values: tf.Tensor) -> tf.Tensor:
    return tf.signal.dct(values, norm="ortho")


def idct(coefficients: tf.Tensor) -> tf.Tensor:
    return tf.signal.idct(coefficients, norm="ortho")


def vjp(function: Callable[..., list[Any]], inputs: Sequence[Any]) -> tuple[list[Any], Any]:
    inputs = [tf.convert_to_tensor(value) for value in inputs]
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        outputs = function(*inputs)

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        return list(
            tape.gradient(
                outputs, inputs, output_gradients=list(cotangents), unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
        )

    return outputs, pullback


def vmap(function: Callable[[Any], list[Any]], stack: Any) -> list[Any]:
    return list(tf.vectorized_map(function, stack))


def linearize(function: Callable[[Any], Any], x: Any) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
    """
    Returns f(x), d ↦ J d by reverse mode applied twice and v ↦ Jᵀ v by reverse mode, neither of which simulates again.

    In graphs TensorFlow's own forward mode ignores derivatives that are written by hand, such as those of solutions of
    equations.
    """
    x, zero = tf.convert_to_tensor(x), tf.UnconnectedGradients.ZERO
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = function(x)
        v = tf.zeros_like(y)
        outer.watch(v)
        gradient = tape.gradient(y, x, output_gradients=v, unconnected_gradients=zero)

    rows = tf.TensorShape(x.shape[:1])  # what loops need to know, and some derivatives forget

    def push(d: Any) -> Any:
        found = outer.gradient(gradient, v, output_gradients=d, unconnected_gradients=zero)
        return tf.ensure_shape(found, rows.concatenate(y.shape[1:]))

    def pull(u: Any) -> Any:
        found = tape.gradient(y, x, output_gradients=u, unconnected_gradients=zero)
        return tf.ensure_shape(found, x.shape)

    return y, push, pull


def implicit_solve(system: SymmetricSystem, coefficients: Sequence[Any], b: Any) -> Any:
    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def solve(rhs: Any, *c: Any) -> Any:
        def pull(v: Any) -> list[Any]:  # of u as it leaves, so that this can be differentiated again
            w = implicit_solve(system, c, v)
            return [w, *(-product for product in system.products(u, w))]

        constant = [tf.stop_gradient(value) for value in c]  # else TensorFlow differentiates the iteration all the same
        return system.solve(constant, tf.stop_gradient(rhs)), pull

    u = solve(tf.convert_to_tensor(b), *(tf.convert_to_tensor(c) for c in coefficients))
    return u


def hessian(objective: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Returns gradient (rows, n) and Hessian (rows, n, n) of an objective with one value per row."""
    x = tf.convert_to_tensor(x)
    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
        outer.watch(x)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            values = objective(x)
        gradient = inner.gradient(values, x, unconnected_gradients=zero)
        parts = tf.unstack(gradient, axis=1)
    rows = [outer.gradient(part, x, unconnected_gradients=zero) for part in parts]
    return gradient, tf.stack(rows, axis=1)


def repeated(step: Callable[[Any], Any], state: Any, count: int) -> Any:
    if tf.inside_function():
        return tf.while_loop(lambda _: True, lambda value: (step(value),), (state,), maximum_iterations=count)[0]
    for _ in range(count):
        state = step(state)
    return state


def repeated_one_of(
    step: Callable[[Any], Any], state: Any, counts: Sequence[int], which: Any, differentiable: bool
) -> Any:
    count = tf.gather(tf.constant(counts), which)
    return tf.while_loop(lambda _: True, lambda value: (step(value),), (state,), maximum_iterations=count)[0]


def scan(
    step: ScanStep, state: list[Any], first: list[Any], inputs: list[Any], count: int
) -> tuple[list[Any], list[Any]]:
    arrays = [tf.TensorArray(one.dtype, count + 1, element_shape=one.shape).write(0, one) for one in first]
    inputs = [tf.convert_to_tensor(values) for values in inputs]

    def body(i: Any, now: list[Any], kept: list[Any]) -> tuple[Any, list[Any], list[Any]]:
        following, output = step(now, [values[i] for values in inputs])
        following = [tf.ensure_shape(value, old.shape) for value, old in zip(following, now, strict=True)]
        return i + 1, following, [array.write(i + 1, value) for array, value in zip(kept, output, strict=True)]

    _, end, arrays = tf.while_loop(lambda i, *_: i < count, body, (0, state, arrays), maximum_iterations=count)
    return end, [array.stack() for array in arrays]


def eigh(matrices: Any) -> tuple[Any, Any]:
    values, vectors = tf.linalg.eigh(matrices)
    return values, vectors


def where_rows(flags: Any, values: Any, others: Any) -> Any:
    return tf.raw_ops.Select(condition=flags, x=values, y=others)  # tf.where takes five times as long for rows


def tanh(values: Any) -> Any:
    return tf.math.tanh(values)


def fold(step: Callable[[Any, Any, Any], Any], constants: Any, state: Any, numbers: Sequence[float]) -> Any:
    """Repeats the step; within a graph, where to trace it takes far longer than to compute it, in a loop."""
    if tf.executing_eagerly():
        for number in numbers:
            state = step(constants, state, number)
        return state
    count, listed = len(numbers), tf.constant(numbers, tf.nest.flatten(state)[0].dtype)

    def body(i: Any, now: Any) -> Any:
        return i + 1, step(constants, now, listed[i])

    return tf.while_loop(lambda i, now: i < count, body, (0, state), maximum_iterations=count)[1]


def compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles the function as a graph, for arguments of the sizes and types of the first call."""
    compiled, graph = tf.function(function, autograph=False), None

    def call(*arguments: Any) -> Any:
        nonlocal graph
        graph = graph or compiled.get_concrete_function(*arguments)
        return graph(*arguments)

    return call


def drop_operations() -> None:
    """Does nothing, as no operation is compiled by itself."""
