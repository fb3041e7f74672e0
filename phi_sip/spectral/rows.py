"""The transforms of a basis on native tensors with a row per batch entry, as iterations need them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phiml import math
from phiml.backend import Backend
from phiml.math import Shape, Tensor, batch

from ..frameworks import operations_of
from .basis import SpectralBasis
from .sides import Periodic


def transform_rows(basis: SpectralBasis, values: Any, backend: Backend) -> Any:
    """
    Computes `basis.transform` of a native tensor.

    Args:
        basis: The modes.
        values: Real values per cell, shape (rows, *axes).
        backend: Framework of `values`.

    Returns:
        Coefficients, shape (rows, *modes).
    """
    if _is_periodic(basis):
        return operations_of(backend).rfftn(values, basis.resolution.rank)
    return _of_rows(basis.transform, values, basis.resolution)


def inverse_rows(basis: SpectralBasis, coefficients: Any, backend: Backend) -> Any:
    """
    Computes `basis.inverse` of a native tensor.

    Args:
        basis: The modes.
        coefficients: Shape (rows, *modes).
        backend: Framework of `coefficients`.

    Returns:
        Real values per cell, shape (rows, *axes).
    """
    if _is_periodic(basis):
        return operations_of(backend).irfftn(coefficients, basis.resolution.sizes)
    return _of_rows(basis.inverse, coefficients, basis.modes)


def _is_periodic(basis: SpectralBasis) -> bool:
    return all(isinstance(side, Periodic) for pair in basis.sides for side in pair)


def _of_rows(function: Callable[[Tensor], Tensor], native: Any, sizes: Shape) -> Any:
    rows = batch(_rows=native.shape[0])
    return function(math.reshaped_tensor(native, [rows, *sizes], convert=False)).native([rows, *sizes.names])
