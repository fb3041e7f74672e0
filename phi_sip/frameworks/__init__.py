"""Native operations that PhiML lacks, one file per framework: real transforms and vector–Jacobian products."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from phiml.backend import Backend

from ..errors import UnsupportedError

Pullback = Callable[[Sequence[Any]], list[Any]]


class Framework(Protocol):
    """What each module of this package provides."""

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


def framework_of(backend: Backend) -> Framework:
    """
    The native operations for tensors of `backend`.

    Raises:
        UnsupportedError: if there is no module for it.
    """
    try:
        return cast(Framework, importlib.import_module(f"{__name__}.{backend.name}"))
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"phi_sip has no operations for tensors of '{backend.name}'. Use TensorFlow, PyTorch, JAX or NumPy."
        ) from error
