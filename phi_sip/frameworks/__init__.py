"""Native operations that PhiML lacks, one file per framework: real transforms, derivatives and compilation."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from phiml.backend import Backend

from ..errors import UnsupportedError

Pullback = Callable[[Sequence[Any]], list[Any]]
Linear = Callable[[Any], Any]


class Framework(Protocol):
    """
    What each module of this package provides.

    Attributes:
        COMPILES: Whether `compile` makes another function, which computes only what it was compiled for.
        COMPILES_OPERATIONS: Whether each operation is compiled by itself for each new size, which costs more time and
            memory than to compile a computation as a whole. Such a framework has `drop_operations`.
    """

    COMPILES: bool
    COMPILES_OPERATIONS: bool

    def drop_operations(self) -> None:
        """Drops all that is compiled."""

    def rfftn(self, values: Any, rank: int) -> Any:
        """Orthonormal real Fourier transform over the last `rank` axes; the last one is halved to n // 2 + 1."""

    def irfftn(self, coefficients: Any, sizes: Sequence[int]) -> Any:
        """The inverse of `rfftn`: real values of `sizes` along the last axes."""

    def dct(self, values: Any) -> Any:
        """Orthonormal cosine transform of type II over the last axis."""

    def idct(self, coefficients: Any) -> Any:
        """The inverse of `dct`."""

    def vjp(self, function: Callable[..., list[Any]], inputs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        """
        Evaluates `function(*inputs)` and returns its outputs with the map from output cotangents to input cotangents,
        which may be used any number of times.
        """

    def linearize(self, function: Callable[[Any], Any], x: Any) -> tuple[Any, Linear, Linear]:
        """f(x), d ↦ J d and v ↦ Jᵀ v with J = ∂f/∂x, both of which may be used any number of times."""

    def hessian(self, objective: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
        """Gradient (rows, n) and Hessian (rows, n, n) at x (rows, n) of an objective with one value per row."""

    def eigh(self, matrices: Any) -> tuple[Any, Any]:
        """Eigenvalues (…, n) and eigenvectors (…, n, n), in columns, of symmetric matrices."""

    def tanh(self, values: Any) -> Any:
        """The hyperbolic tangent; PhiML's on JAX is NumPy's, which cannot be compiled."""

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function of native tensors of certain sizes and types, compiled where that pays."""


def framework_of(backend: Backend) -> Framework:
    """
    The native operations for tensors of `backend`.

    Raises:
        UnsupportedError: if there is no module for it.
    """
    try:
        return cast(Framework, importlib.import_module(f"{__name__}.{backend.name}.operations"))
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"phi_sip has no operations for tensors of '{backend.name}'. Use TensorFlow, PyTorch, JAX or NumPy."
        ) from error
