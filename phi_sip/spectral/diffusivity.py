"""Finite volumes for diffusion whose diffusivity varies in space, and is 0 where nothing flows, on native tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml.backend import Backend

from .differences import Difference
from .sides import Fixed, Periodic, Side


@dataclass(frozen=True)
class VaryingDiffusion:
    """
    What flows out of each cell of a uniform grid, −∇·(ν ∇u), if the fixed sides are at 0:

        A(g) u = Σ_a D_aᵀ (g_a · D_a u),   g_{i+½} = 2 ν_i ν_{i+1} / (ν_i + ν_{i+1}),   g = ν at fixed sides

    with the differences D_a to the neighbours along the axis a, see `Difference`. The harmonic mean makes the flux from
    one material to another continuous, and is 0 where one of them insulates. A is symmetric, its eigenvalues are from 0
    to 4 Σ_a max ν_a. What leaves a cell enters its neighbour: without a fixed side the sum of A u is 0.

    Native tensors have the rows first, and then the axes. ν is in units of cells, divided by dx_a².

    Args:
        backend: Framework of the tensors.
        sides: What holds at the lower and the upper side of each axis.

    Source: Patankar, "Numerical Heat Transfer and Fluid Flow", 1980, section 4.2-3.
    """

    backend: Backend
    sides: tuple[tuple[Side, Side], ...]

    def conductances(self, diffusivity: Sequence[Any]) -> tuple[Any, ...]:
        """Computes g per face of each axis from ν_a ≥ 0 per cell, one tensor for each axis."""
        differences = self._differences(diffusivity[0])
        return tuple(_conductance(d, diffusivity[d.axis]) for d in differences)

    def apply(self, conductances: Sequence[Any], u: Any) -> Any:
        """Computes A(g) u."""
        return self._sum([d.adjoint(g * d.apply(u)) for d, g in self._pairs(conductances, u)], u)

    @property
    def has_inflow(self) -> bool:
        """Whether a side is fixed to a number other than 0."""
        return any(isinstance(side, Fixed) and side.value != 0 for pair in self.sides for side in pair)

    def inflow(self, conductances: Sequence[Any], like: Any) -> Any:
        """
        Computes b, what flows into cells at 0 from the values c of the fixed sides.

        Args:
            conductances: g.
            like: Any values per cell.
        """
        return self._sum([d.adjoint(g * _values(d, g)) for d, g in self._pairs(conductances, like)], like)

    def _pairs(self, conductances: Sequence[Any], like: Any) -> Iterable[tuple[Difference, Any]]:
        return zip(self._differences(like), conductances, strict=True)

    def _differences(self, like: Any) -> list[Difference]:
        """Returns those of the axes that have faces."""
        axes = range(-len(self.sides), 0)
        inner = [axis for axis in axes if like.shape[axis] > 1 or _is_fixed(self.sides[axis])]
        return [Difference(self.backend, axis, 1.0, self.sides[axis]) for axis in inner]

    def _sum(self, terms: Sequence[Any], like: Any) -> Any:
        return sum(terms[1:], terms[0]) if terms else like * 0


def _is_fixed(pair: tuple[Side, Side]) -> bool:
    return any(isinstance(side, Fixed) for side in pair)


def _conductance(difference: Difference, nu: Any) -> Any:
    """Computes g on the faces of one axis, in the order of `Difference`."""
    backend, axis = difference.backend, difference.axis
    lower, upper = difference.sides
    first, last = _cut(nu, axis, None, 1), _cut(nu, axis, -1, None)
    behind = _cut(nu, axis, 1, None)
    if isinstance(lower, Periodic):
        return _harmonic(backend, nu, _concat(backend, axis, [behind, first]))
    between = _harmonic(backend, _cut(nu, axis, None, -1), behind)
    parts = [first] * isinstance(lower, Fixed) + [between] + [last] * isinstance(upper, Fixed)
    return _concat(backend, axis, parts)


def _harmonic(backend: Backend, a: Any, b: Any) -> Any:
    """Computes 2 a b / (a + b), 0 where both are 0."""
    return backend.divide_no_nan(2 * a * b, a + b)


def _values(difference: Difference, like: Any) -> Any:
    """Returns the values at the fixed sides as differences to 0, per face of one axis."""
    lower, upper = difference.sides
    faces = np.zeros(int(like.shape[difference.axis]))
    if isinstance(lower, Fixed):
        faces[0] += np.sqrt(2) * lower.value
    if isinstance(upper, Fixed):
        faces[-1] -= np.sqrt(2) * upper.value
    backend = difference.backend
    shape = [1] * len(like.shape)
    shape[difference.axis] = len(faces)
    return backend.cast(backend.as_tensor(faces.reshape(shape)), backend.dtype(like))


def _cut(u: Any, axis: int, start: int | None, stop: int | None) -> Any:
    index = [slice(None)] * len(u.shape)
    index[axis] = slice(start, stop)
    return u[tuple(index)]


def _concat(backend: Backend, axis: int, parts: list[Any]) -> Any:
    return backend.concat(parts, len(parts[0].shape) + axis) if len(parts) > 1 else parts[0]
