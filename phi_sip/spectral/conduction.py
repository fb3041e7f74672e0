"""Steady conduction with a coefficient that differs from place to place, and its solution, on native tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from phiml.backend import Backend

from ..compilation.iterations import repeat
from ..frameworks import operations_of
from .basis import SpectralBasis
from .differences import Difference
from .sides import Fixed, Insulated, Periodic, Side

MOST_STEPS = 1000  # of conjugate gradients; 10 to 40 are usual
TOLERANCE = {32: 1e-7, 64: 1e-14}  # of the error, in the norm of the energy


class Solution(NamedTuple):
    """
    Where conjugate gradients are; one row per sample.

    Attributes:
        moving: Whether a row goes on.
        u: Solution so far.
        left: b − A u.
        direction: Next search direction.
        square: ⟨left, M left⟩, with the preconditioner M.
    """

    moving: Any
    u: Any
    left: Any
    direction: Any
    square: Any


@dataclass(frozen=True)
class Conduction:
    """
    Finite volumes for −∇·(c ∇u) on the cells of a uniform grid:

        A(c) u = Σ_a D_aᵀ (c_a · D_a u)

    with the differences D_a across the faces of the axis a, see `Difference`, and one conductivity c > 0 per face.
    A(c) is symmetric. It has an inverse if a side is fixed; else the constant is its kernel, and `solve` leaves the
    means of b and u out.

    Native tensors have the rows first, one per sample, and then the axes; conductivities are a tuple with one tensor
    per axis.

    Args:
        backend: Framework of the tensors.
        sizes: Cells per axis.
        inverse_cells: 1 / dx per axis.
        sides: What holds at the lower and the upper side of each axis.

    Source: Eymard, Gallouët, Herbin, "Finite volume methods", 2000, section 2 (harmonic mean); the solution of
    constant c: separation of variables.
    """

    backend: Backend
    sizes: tuple[int, ...]
    inverse_cells: tuple[float, ...]
    sides: tuple[tuple[Side, Side], ...]

    @staticmethod
    def of(basis: SpectralBasis, backend: Backend) -> Conduction:
        """Returns that of the grid of a basis."""
        sizes = tuple(int(n) for n in basis.resolution.sizes)
        lengths = [float(basis.size.vector[axis]) for axis in basis.resolution.names]
        return Conduction(backend, sizes, tuple(n / s for n, s in zip(sizes, lengths, strict=True)), basis.sides)

    @property
    def is_singular(self) -> bool:
        """Whether no side is fixed."""
        return not any(isinstance(side, Fixed) for pair in self.sides for side in pair)

    def conductivities(self, resistivity: Any) -> tuple[Any, ...]:
        """
        Computes c on the faces from the resistivity ρ = 1 / a of the cells:

            c = 2 / (ρ_j + ρ_{j+1})   between two cells, the harmonic mean;   1 / ρ_j   at fixed sides
        """
        return tuple(self._between(difference, resistivity) for difference in self._differences)

    def multiply(self, conductivities: Sequence[Any], u: Any) -> Any:
        """Computes A(c) u."""
        return self._adjoint([c * d for c, d in zip(conductivities, self._apply(u), strict=True)])

    def products(self, u: Any, v: Any) -> tuple[Any, ...]:
        """Computes ∂/∂c_a of ⟨v, A(c) u⟩, which is D_a u · D_a v."""
        return tuple(a * b for a, b in zip(self._apply(u), self._apply(v), strict=True))

    def inflow(self, conductivities: Sequence[Any]) -> Any:
        """Computes b with A(c) u = b where the fixed sides have their values, and nothing else drives u."""
        pairs = zip(self._differences, conductivities, strict=True)
        return self._adjoint([c * self._values_at_sides(difference, c) for difference, c in pairs])

    def solve(self, conductivities: Sequence[Any], b: Any) -> Any:
        """
        Computes u with A(c) u = b, without derivatives, by conjugate gradients with the preconditioner

            M = L⁻¹ A(1 / c) L⁻¹,   L = A(1)

        It is exact in one dimension, whatever c. In more of them it takes 10 to 40 steps for contrasts of 10 to 10⁵.

        Args:
            conductivities: c, with as many rows as `b`.
            b: Right-hand side. Its mean is ignored where no side is fixed.
        """
        inverses = [1 / c for c in conductivities]
        b = self._without_mean(b)
        z = self._precondition(inverses, b)
        square = self._inner(b, z)
        goal = square * TOLERANCE[self.backend.dtype(b).precision] ** 2

        def step(state: Solution) -> Solution:
            image = self.multiply(conductivities, state.direction)
            curvature = self._inner(state.direction, image)
            length = state.square / self._or_one(curvature)
            u, left = state.u + length * state.direction, state.left - length * image
            z = self._precondition(inverses, left)
            square = self._inner(left, z)
            direction = z + square / self._or_one(state.square) * state.direction
            moving = state.moving & (square > goal)
            return Solution(moving, self.backend.where(state.moving, u, state.u), left, direction, square)

        begin = Solution(square > 0, b * 0, b, z, square)
        return self._without_mean(repeat(self.backend, step, begin, MOST_STEPS).u)

    def implicit_solve(self, conductivities: Sequence[Any], b: Any) -> Any:
        """
        Computes u with A(c) u = b, as `solve` does, with its derivatives by the implicit function theorem:

            δu = A⁻¹ (δb − A(δc) u)
        """
        return operations_of(self.backend).implicit_solve(self, tuple(conductivities), b)

    @property
    def _differences(self) -> list[Difference]:
        rank = len(self.sizes)
        return [
            Difference(self.backend, i - rank, weight, sides)
            for i, (weight, sides) in enumerate(zip(self.inverse_cells, self.sides, strict=True))
        ]

    def _apply(self, u: Any) -> list[Any]:
        return [difference.apply(u) for difference in self._differences]

    def _adjoint(self, parts: Sequence[Any]) -> Any:
        terms = [difference.adjoint(part) for difference, part in zip(self._differences, parts, strict=True)]
        return sum(terms[1:], terms[0])

    def _between(self, difference: Difference, resistivity: Any) -> Any:
        """Computes c on the faces of one axis, in the order of `Difference`."""
        lower, upper = self.sides[difference.axis]
        first, last = (self._cut(resistivity, difference.axis, *ends) for ends in ((None, 1), (-1, None)))
        behind = self._cut(resistivity, difference.axis, 1, None)
        if isinstance(lower, Periodic):
            return 2 / (resistivity + self._concat([behind, first], difference.axis))
        inner = 2 / (self._cut(resistivity, difference.axis, None, -1) + behind)
        parts = [1 / first] * isinstance(lower, Fixed) + [inner] + [1 / last] * isinstance(upper, Fixed)
        return self._concat(parts, difference.axis)

    def _values_at_sides(self, difference: Difference, like: Any) -> Any:
        """Returns d with D u − d the differences where the fixed sides have their values: 0 but for their faces."""
        faces = int(like.shape[difference.axis])
        values, scale = np.zeros(faces), np.sqrt(2) * difference.weight
        lower, upper = self.sides[difference.axis]
        if isinstance(lower, Fixed):
            values[0] += scale * lower.value
        if isinstance(upper, Fixed):
            values[-1] -= scale * upper.value
        shape = [1] * (len(self.sizes) + 1)
        shape[difference.axis] = faces
        return self._constant(values.reshape(shape), like)

    def _precondition(self, inverses: Sequence[Any], b: Any) -> Any:
        """Computes L⁻¹ A(1 / c) L⁻¹ b."""
        return self._solve_constant(self.multiply(inverses, self._solve_constant(b)))

    def _solve_constant(self, b: Any) -> Any:
        """Computes A(1)⁻¹ b in the modes of the axes, by matrices, which are faster than transforms up to 256 cells."""
        axes = [_modes(*axis) for axis in zip(self.sizes, self.inverse_cells, self.sides, strict=True)]
        total: Any = 0.0
        for i, (eigenvalues, _) in enumerate(axes):
            total = total + eigenvalues.reshape([-1 if i == j else 1 for j in range(len(axes))])
        gain = np.where(total > 1e-9 * total.max(), 1 / np.where(total > 0, total, 1), 0)
        modes = [vectors for _, vectors in axes]
        coefficients = self._along_axes([vectors.T for vectors in modes], b) * self._constant(gain[None], b)
        return self._along_axes(modes, coefficients)

    def _along_axes(self, matrices: Sequence[np.ndarray], values: Any) -> Any:
        """Multiplies each axis by a matrix."""
        letters = "abc"[: len(matrices)]
        for letter, matrix in zip(letters, matrices, strict=True):
            out = letters.replace(letter, "z")
            values = self.backend.einsum(f"z{letter},r{letters}->r{out}", self._constant(matrix, values), values)
        return values

    def _constant(self, values: np.ndarray, like: Any) -> Any:
        return self.backend.cast(self.backend.as_tensor(values), self.backend.dtype(like))

    def _inner(self, u: Any, v: Any) -> Any:
        """Computes ⟨u, v⟩ of each row, with the axes kept."""
        return self.backend.sum(u * v, tuple(range(1, len(self.sizes) + 1)), True)

    def _without_mean(self, u: Any) -> Any:
        if not self.is_singular:
            return u
        return u - self.backend.mean(u, tuple(range(1, len(self.sizes) + 1)), True)

    def _or_one(self, values: Any) -> Any:
        """Returns values to divide by, 1 in place of those that are not positive."""
        return self.backend.where(values > 0, values, values * 0 + 1)

    def _cut(self, u: Any, axis: int, start: int | None, stop: int | None) -> Any:
        index = [slice(None)] * len(u.shape)
        index[axis] = slice(start, stop)
        return u[tuple(index)]

    def _concat(self, parts: list[Any], axis: int) -> Any:
        return self.backend.concat(parts, len(parts[0].shape) + axis) if len(parts) > 1 else parts[0]


@lru_cache(maxsize=64)
def _modes(n: int, weight: float, sides: tuple[Side, Side]) -> tuple[np.ndarray, np.ndarray]:
    """Computes eigenvalues and orthonormal eigenvectors, in columns, of Dᵀ D on one axis of n cells."""
    periodic = isinstance(sides[0], Periodic)
    ends = [0.0 if isinstance(side, Insulated) else 2.0 for side in sides]
    inner = np.diff(np.eye(n), axis=0)
    matrix = inner.T @ inner
    if periodic:
        corner = np.eye(n)[0] - np.eye(n)[-1]
        matrix = matrix + np.outer(corner, corner)
    else:
        matrix[0, 0] += ends[0]
        matrix[-1, -1] += ends[1]
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return eigenvalues * weight**2, vectors
