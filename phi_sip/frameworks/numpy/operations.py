"""NumPy: Fourier and cosine transforms. It has no automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import scipy.fft

from ...contract.operations import SymmetricSystem
from ...errors import UnsupportedError

COMPILES = False
COMPILES_OPERATIONS = False


def rfftn(values: np.ndarray, rank: int) -> Any:
    return np.fft.rfftn(values, axes=range(-rank, 0), norm="ortho")


def irfftn(coefficients: np.ndarray, sizes: Sequence[int]) -> Any:
    return np.fft.irfftn(coefficients, s=sizes, axes=range(-len(sizes), 0), norm="ortho")


def dct(values: np.ndarray) -> Any:
    return scipy.fft.dct(values, norm="ortho")


def idct(coefficients: np.ndarray) -> Any:
    return scipy.fft.idct(coefficients, norm="ortho")


def vjp(function: Callable[..., list[Any]], inputs: Sequence[Any]) -> NoReturn:
    raise UnsupportedError(
        "NumPy cannot differentiate through the physics. Convert the fields to TensorFlow, PyTorch or JAX, "
        "e.g. by importing phi.tf.flow, phi.torch.flow or phi.jax.flow before making them."
    )


def vmap(function: Callable[[Any], list[Any]], stack: Any) -> list[Any]:
    return [np.stack(results) for results in zip(*map(function, stack), strict=True)]


def linearize(function: Callable[[Any], Any], x: Any) -> NoReturn:
    vjp(function, [x])


def implicit_solve(system: SymmetricSystem, coefficients: Sequence[Any], b: Any) -> Any:
    return system.solve(coefficients, b)


def hessian(objective: Callable[[Any], Any], x: Any) -> NoReturn:
    vjp(objective, [x])


def repeated(step: Callable[[Any], Any], state: Any, count: int) -> Any:
    for _ in range(count):
        state = step(state)
    return state


def eigh(matrices: Any) -> tuple[Any, Any]:
    values, vectors = np.linalg.eigh(matrices)
    return values, vectors


def where_rows(flags: Any, values: Any, others: Any) -> Any:
    return np.where(flags.reshape(-1, *(1 for _ in values.shape[1:])), values, others)


def tanh(values: Any) -> Any:
    return np.tanh(values)


def fold(step: Callable[[Any, Any, Any], Any], constants: Any, state: Any, numbers: Sequence[float]) -> Any:
    for number in numbers:
        state = step(constants, state, number)
    return state


def compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function as it is."""
    return function


def drop_operations() -> None:
    """Does nothing, as no operation is compiled by itself."""
