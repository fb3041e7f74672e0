"""Differences between neighbouring cells, whose squares are diagonal in the basis of the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from .basis import SpectralBasis
from .sides import Fixed, Periodic, Side


@dataclass(frozen=True)
class Difference:
    """
    Forward differences along one axis, on native tensors:

        (D u)_j = w (u_{j+1} − u_j)

    between neighbours; around the corner where the axis is periodic; nothing at an insulated side; and √2 w times the
    value itself, the difference to 0 over half a cell, at a fixed one. So Dᵀ D has the eigenvalues 4 w² sin²(k dx / 2)
    in the basis of the boundary.

    Attributes:
        backend: Of the native tensors.
        axis: Position of the axis, counted from the last: negative.
        weight: w.
        sides: What holds at the lower and the upper side.
    """

    backend: Backend
    axis: int
    weight: float
    sides: tuple[Side, Side]

    def apply(self, u: Any) -> Any:
        """Computes D u, one value per face that counts."""
        if isinstance(self.sides[0], Periodic):
            return self._scaled(self._concat([self._cut(u, 1, None), self._cut(u, None, 1)]) - u)
        inner = self._cut(u, 1, None) - self._cut(u, None, -1)
        lower, upper = (isinstance(side, Fixed) for side in self.sides)
        root = float(np.sqrt(2))
        parts = [self._cut(u, None, 1) * root] * lower + [inner] + [self._cut(u, -1, None) * -root] * upper
        return self._scaled(self._concat(parts))

    def adjoint(self, p: Any) -> Any:
        """Computes Dᵀ p."""
        if isinstance(self.sides[0], Periodic):
            return self._scaled(self._concat([self._cut(p, -1, None), self._cut(p, None, -1)]) - p)
        lower, upper = (isinstance(side, Fixed) for side in self.sides)
        inner = self._cut(p, 1 if lower else None, -1 if upper else None)
        root = float(np.sqrt(2))
        nothing = self._cut(p, None, 1) * 0
        below = self._cut(p, None, 1) * root if lower else nothing
        above = self._cut(p, -1, None) * root if upper else nothing
        return self._scaled(self._concat([below, inner]) - self._concat([inner, above]))

    def _scaled(self, u: Any) -> Any:
        return u if self.weight == 1 else u * self.weight

    def _cut(self, u: Any, start: int | None, stop: int | None) -> Any:
        index = [slice(None)] * len(u.shape)
        index[self.axis] = slice(start, stop)
        return u[tuple(index)]

    def _concat(self, parts: list[Any]) -> Any:
        return self.backend.concat(parts, len(parts[0].shape) + self.axis) if len(parts) > 1 else parts[0]


def differences(basis: SpectralBasis, backend: Backend) -> list[Difference]:
    """
    Returns one difference per axis, for native tensors with the axes last.

    The weights w are 1 / cell size, in units of the smallest cell.
    """
    weights = _weights(basis)
    rank = basis.resolution.rank
    return [
        Difference(backend, i - rank, weights[axis], sides)
        for i, (axis, sides) in enumerate(zip(basis.resolution.names, basis.sides, strict=True))
    ]


@lru_cache(maxsize=64)
def eigenvalues(basis: SpectralBasis) -> Tensor:
    """Computes the eigenvalues Σ_a 4 w_a² sin²(k_a dx_a / 2) of Dᵀ D per mode, in float64."""
    weights = _weights(basis)
    with math.precision(64):
        parts = [
            4 * weights[axis] ** 2 * math.sin(k * _cell_size(basis, axis) / 2) ** 2
            for axis, k in basis.axis_wavenumbers.items()
        ]
        return sum(parts[1:], parts[0])


def _weights(basis: SpectralBasis) -> dict[str, float]:
    sizes = {axis: _cell_size(basis, axis) for axis in basis.resolution.names}
    return {axis: min(sizes.values()) / size for axis, size in sizes.items()}


def _cell_size(basis: SpectralBasis, axis: str) -> float:
    return float(basis.size.vector[axis]) / int(basis.resolution.get_size(axis))
