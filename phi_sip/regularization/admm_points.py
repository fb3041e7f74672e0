"""The minimization of a reweighted ℓ₁ norm."""

from __future__ import annotations

from typing import Any, ClassVar

from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..spectral import SpectralBasis
from .admm import Minimization
from .admm_state import AdmmState, Limits, Observed, Stage
from .splits import Points, Split

SIXTHS = (0, 2, 3, 4, 5)  # of the iterations, at which weights are fitted; no weights before the second
THRESHOLD = 0.5  # λ/ρ in units of the size of points; before they are known: the largest value of the first estimate
SOFTENING = 0.1  # ε in units of the size of points; 0.05 … 0.2 give the same


class PointsMinimization(Minimization):
    """
    ½ ‖P(x) − y*‖² + λ Σ_i w_i |x_i|, x ≥ minimum if given, with z = x split off, and w_i = ε / (|z_i| + ε) fitted to z.

    λ = σ ‖P e‖ · number, with ‖P e‖² = Σ_k h_k² / N the square of what a cell at 1 leaves in y*. |u| is at most the
    threshold times w. x̃ is z, so that most cells are 0 to rounding.
    """

    name: ClassVar[str] = "points"

    def __init__(self, limits: Limits, basis: SpectralBasis, backend: Backend, observed: Observed) -> None:
        super().__init__(limits, basis, backend, observed)
        with math.precision(self.split_real.precision):
            self.no_weights = self.start.x * 0 + 1

    def _first_threshold(self, first: Any) -> Any:
        b = self.backend
        largest = b.max(b.abs(self._cells(first)), self.axes, keepdims=True)
        return b.maximum(largest, self._least_size())

    def _least_size(self) -> Any:
        """Computes λ / ‖P e‖², the size of the least point that the data show, per row."""
        return self._strength() / self._response()

    def _strength(self) -> Any:
        """Computes λ per row."""
        b = self.backend
        return self.limits.strength * self.number * b.sqrt(self.noise * self._response())

    def _response(self) -> Any:
        """Computes ‖P e‖² per row."""
        weights = self._constant(self.basis.multiplicity() / self.basis.resolution.volume)
        return self.backend.sum(self.squared_gain * weights, self.axes, keepdims=True)

    def _curvature(self) -> Tensor:
        return math.to_float(self.basis.k_squared() * 0 + 1)

    def _parts(self) -> tuple[Split, ...]:
        """One that accepts all values."""
        return (self._split(0.0),)

    def _split(self, limit: Any) -> Split:
        b = self.backend
        floor = b.cast(self.floor / self.threshold, self.split_real) if self.limits.minimum else None
        return Points(b, limit, floor)

    def _refits(self) -> tuple[int, ...]:
        return tuple(sorted({self.limits.iterations * part // 6 for part in SIXTHS}))

    def _stage(self, state: AdmmState, before: Stage | None) -> tuple[AdmmState, Stage]:
        b = self.backend
        if before is None:
            threshold, weights = self.threshold * 0 + 1, self.no_weights
        else:
            size = self._size(state.z[0])
            threshold, softening = THRESHOLD * size, b.cast(SOFTENING * size, self.split_real)
            weights = softening / (b.abs(state.z[0]) + softening)
            state = state._replace(u=(state.u[0] * b.cast(threshold / before.threshold, self.split_real),))
        parts = (self._split(b.cast(threshold, self.split_real) * weights),)
        return state, Stage(parts, *self._step(self._strength() / (threshold * self.threshold)), threshold)

    def _size(self, z: Any) -> Any:
        """Computes Σ z² / Σ |z|, the size of points, per row, at least that of the least that the data show."""
        b = self.backend
        total = b.cast(b.sum(b.abs(z), self.axes, keepdims=True), self.real)
        squares = b.cast(b.sum(z * z, self.axes, keepdims=True), self.real)
        return b.maximum(squares / (total + self.smallest), self._least_size() / self.threshold)

    def _answer(self, pull: Any, z: tuple[Any, ...]) -> Any:
        return z[0]

    def _still(self, x: Any) -> Any:
        return self.backend.sum(x * x, self.axes)

    def _finish(self, answer: Any, stage: Stage) -> Any:
        return self._modes(self.backend.cast(answer, self.real) * self.threshold)
