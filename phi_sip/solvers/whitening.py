"""Coordinates in which a Gaussian prior is white, on native matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml.backend import Backend


@dataclass(frozen=True, eq=False)
class Whitening:
    """
    x = Φᵀ S^½ D^(−¼) w, with the modes Φ of a prior, its powers S, and a preconditioner D. Runs inside compiled code.

    Attributes:
        backend: Framework of the native matrices (rows, values).
        sizes: Of all dims of the columns of x, one after the other.
        axes: Which of them are axes of the grid.
        matrices: Orthonormal modes of each axis, shape (modes, cells).
        deviations: S^½, shape (rows, columns).
        preconditioner: D^(−¼), shape (rows, columns).
    """

    backend: Backend
    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    matrices: Sequence[Any]
    deviations: Any
    preconditioner: Any

    def colored(self, w: Any) -> Any:
        """Computes x from w."""
        return self._along_axes(self.deviations * self.preconditioner * w, "amb,mn->anb")

    def pulled(self, gradient: Any) -> Any:
        """Computes the derivative with respect to w from that with respect to x."""
        return self.deviations * self.preconditioner * self._along_axes(gradient, "anb,mn->amb")

    def state(self, coefficients: Any) -> Any:
        """Computes x from coefficients of the modes."""
        return self._along_axes(coefficients, "amb,mn->anb")

    def _along_axes(self, rows: Any, product: str) -> Any:
        b = self.backend
        for axis, matrix in zip(self.axes, self.matrices, strict=True):
            after = int(np.prod(self.sizes[axis + 1 :], dtype=int))
            parts = b.reshape(rows, (-1, self.sizes[axis], after))
            rows = b.reshape(b.einsum(product, parts, matrix), (-1, int(np.prod(self.sizes))))
        return rows
