"""Δθ = V Λ^(−κ) Uᵀ Δy for J = U Λ Vᵀ, of rows that come part by part."""

from __future__ import annotations

from typing import Any

from phiml import math
from phiml.backend import Backend

from ..frameworks import operations_of
from ..targets import HalfInverse

DOUBLE = 8  # bytes


class HalfInversion:
    """
    Collects J and Δy, and computes the change of the weights from the eigenvalues of the smaller one of two matrices:

        V Λ^(−κ) Uᵀ Δy = Jᵀ (J Jᵀ)^(−(1+κ)/2) Δy = (Jᵀ J)^(−(1+κ)/2) Jᵀ Δy

    All native tensors are in double precision.

    Args:
        rule: κ and τ.
        backend: Framework of the native tensors.
        values: Rows of J, of all parts together.
        weights: Columns of J.
    """

    def __init__(self, rule: HalfInverse, backend: Backend, values: int, weights: int) -> None:
        self._rule, self._backend = rule, backend
        self._keeps_rows = values <= weights
        self._rows: list[tuple[Any, Any]] = []
        self._sums: tuple[Any, Any] | None = None

    @staticmethod
    def bytes_needed(values: int, weights: int, parts: int, pulled_back: int) -> int:
        """
        Returns the memory that rows, K and its eigenvectors take, and what is pulled back through the network.

        Args:
            values, weights: See above.
            parts: In how many parts the batch comes.
            pulled_back: How many numbers are pulled back to the rows of one part.
        """
        kept = values * weights if values <= weights else weights * values // parts
        return DOUBLE * (kept + 3 * min(values, weights) ** 2 + 2 * pulled_back)

    def add(self, jacobian: Any, residual: Any) -> None:
        """
        Adds a part.

        Args:
            jacobian: Rows of J, native, shape (values of the part, weights).
            residual: Δy, native, shape (values of the part, 1).
        """
        if self._keeps_rows:
            self._rows.append((jacobian, residual))
            return
        transposed = self._transposed(jacobian)
        found = transposed @ jacobian, transposed @ residual
        before = self._sums
        self._sums = found if before is None else (before[0] + found[0], before[1] + found[1])

    @property
    def kept(self) -> list[Any]:
        """The native tensors that are kept of all parts so far."""
        return [tensor for row in self._rows for tensor in row] if self._sums is None else list(self._sums)

    def change(self) -> Any:
        """Computes Δθ, a native tensor (weights, 1)."""
        with math.precision(64):  # to which operations of PhiML convert
            if self._sums is not None:
                return self._power_times(*self._sums)
            transposed = [self._transposed(jacobian) for jacobian, _ in self._rows]
            blocks = [self._joined([jacobian @ other for other in transposed], 1) for jacobian, _ in self._rows]
            left = self._power_times(self._joined(blocks, 0), self._joined([residual for _, residual in self._rows], 0))
            change, start = 0.0, 0
            for columns in transposed:
                stop = start + columns.shape[1]
                change = columns @ left[start:stop] + change
                start = stop
            return change

    def _power_times(self, gram: Any, column: Any) -> Any:
        """Computes K^(−(1+κ)/2) b. What is not finite in K has been noted: it is left out, as it has no eigenvalues."""
        where, zeros = self._backend.where, self._backend.zeros_like
        squares, vectors = operations_of(self._backend).eigh(where(self._backend.isfinite(gram), gram, zeros(gram)))
        sizes = self._backend.sqrt(where(squares > 0, squares, zeros(squares)))
        is_kept = sizes > self._rule.truncation * sizes[-1]
        powers = where(is_kept, sizes, zeros(sizes) + 1) ** -(1 + self._rule.exponent)
        coefficients = self._transposed(vectors) @ column
        return vectors @ (where(is_kept, powers, zeros(sizes))[:, None] * coefficients)

    def _transposed(self, matrix: Any) -> Any:
        return self._backend.transpose(matrix, [1, 0])

    def _joined(self, parts: list[Any], axis: int) -> Any:
        return parts[0] if len(parts) == 1 else self._backend.concat(parts, axis)
