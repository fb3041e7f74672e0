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
    x = Φᵀ S^½ D^(−¼) w + E b, with the modes Φ of a prior, its powers S, a preconditioner D, and constants E that have
    no prior. Rows of coordinates are those of w, then those of b. Runs inside compiled code.

    Attributes:
        backend: Framework of the native matrices (rows, values).
        sizes: Of all dims of the columns of x, one after the other.
        axes: Which of them are axes of the grid.
        matrices: Orthonormal modes of each axis, shape (modes, cells).
        deviations: S^½, shape (rows, columns).
        preconditioner: D^(−¼), shape (rows, columns).
        constants: E, shape (rows, constants, columns).
    """

    backend: Backend
    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    matrices: Sequence[Any]
    deviations: Any
    preconditioner: Any
    constants: Any

    @property
    def columns(self) -> int:
        """Number of values of x in a row."""
        return int(np.prod(self.sizes))

    def colored(self, coordinates: Any) -> Any:
        """Computes x from its coordinates."""
        w, b = coordinates[:, : self.columns], coordinates[:, self.columns :]
        return self.state(self.deviations * self.preconditioner * w) + self.backend.einsum(
            "rcn,rc->rn", self.constants, b
        )

    def pulled(self, gradient: Any, prior: Any) -> Any:
        """
        Computes the derivative with respect to the coordinates.

        Args:
            gradient: That with respect to x.
            prior: That with respect to D^(−¼) w.
        """
        w = self.deviations * self.coefficients(gradient) + prior
        b = self.backend.einsum("rcn,rn->rc", self.constants, gradient)
        return self.backend.concat([self.preconditioner * w, b], 1)

    def white(self, coordinates: Any) -> Any:
        """Computes D^(−¼) w, of which the prior is white."""
        return self.preconditioner * coordinates[:, : self.columns]

    def state(self, coefficients: Any) -> Any:
        """Computes x from coefficients of the modes."""
        return self._along_axes(coefficients, "amb,mn->anb")

    def coefficients(self, x: Any) -> Any:
        """Computes the coefficients of the modes of x."""
        return self._along_axes(x, "anb,mn->amb")

    def _along_axes(self, rows: Any, product: str) -> Any:
        b = self.backend
        for axis, matrix in zip(self.axes, self.matrices, strict=True):
            after = int(np.prod(self.sizes[axis + 1 :], dtype=int))
            parts = b.reshape(rows, (-1, self.sizes[axis], after))
            rows = b.reshape(b.einsum(product, parts, matrix), (-1, self.columns))
        return rows
