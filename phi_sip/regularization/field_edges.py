"""Total variation of fields that no closed form inverts: what iterations need of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml.backend import Backend

from .admm_edges import EVIDENCE, LEAST_VARIATION, REFIT, ROUNDING, THRESHOLD
from .field_grid import FieldGrid
from .splits import Bound, Edges, Split


@dataclass(frozen=True)
class FieldEdges:
    """
    z = D x and, if there is a least value, v = x, split off from a field x, see `TotalVariation`.

    Attributes:
        minimum, strength, iterations, tolerance, single: See `TotalVariation`.
    """

    refits = REFIT

    minimum: float | None
    strength: float
    iterations: int
    tolerance: float
    single: bool

    def unit(self, fluctuation: np.ndarray) -> np.ndarray:
        """Computes λ/ρ, the unit of what is split off, from the standard deviation of a first estimate of x."""
        return THRESHOLD * fluctuation

    def damping(self, noise: Any) -> Any:
        """Computes σ² over the variance of x, of which the first estimate knows nothing else, from σ² in that unit."""
        return THRESHOLD**2 * noise

    def parts(self, backend: Backend, grid: FieldGrid, unit: Any) -> tuple[Split, ...]:
        """
        Returns what is split off from fields.

        Args:
            backend: Framework of the native tensors.
            grid: Their grid; the dims of a tensor are that of rows, then those of the grid.
            unit: Unit of the values, shape (rows, 1, …).
        """
        edges = [Edges(backend, difference) for difference in grid.differences(backend)]
        bound = [] if self.minimum is None else [Bound(backend, self.minimum / unit)]
        return (*edges, *bound)

    def curvature(self, grid: FieldGrid) -> np.ndarray:
        """Computes |A|² of each mode of the grid."""
        return grid.eigenvalues() + float(self.minimum is not None)

    def size(self, backend: Backend, grid: FieldGrid, split: Sequence[Any]) -> Any:
        """Computes Σ_a ‖z_a‖₁ of what is split off, shape (rows, 1)."""
        sums = [backend.sum(abs(part), tuple(range(1, len(part.shape)))) for part in split[: len(grid.sides)]]
        return backend.reshape(sum(sums[1:], sums[0]), (-1, 1))

    def penalty(self, backend: Backend, noise: Any, number: Any, size: Any, first: Any) -> Any:
        """
        Computes ρ = λ / threshold, all of shape (rows, 1).

        Args:
            backend: Framework.
            noise: σ², in squares of the unit of what is split off.
            number: γ, how many modes the data determine.
            size: See `size`, in that unit.
            first: That of the first estimate.
        """
        least = backend.maximum(LEAST_VARIATION * first, ROUNDING)
        return self.strength * EVIDENCE * noise * number / backend.maximum(size, least)

    def admissible(self, backend: Backend, x: Any) -> Any:
        """Returns the nearest values that are allowed."""
        return x if self.minimum is None else backend.maximum(x, self.minimum)

    def still(self, columns: int) -> float:
        """Computes Σ Δx² over the cells below which a row stops, in that unit."""
        return (self.tolerance / THRESHOLD) ** 2 * columns
