"""The minimization of total variation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..spectral import SpectralBasis
from ..spectral.differences import differences, eigenvalues
from .admm import Minimization
from .admm_state import AdmmState, Limits, Observed, Stage
from .splits import RELAXATION, Bound, Edges, Split

THRESHOLD = 0.6  # λ/ρ in units of the fluctuation of y*; 0.4 … 0.8 converge alike
EVIDENCE = 1.5  # factor on the evidence fixed point of λ; 0.5 … 5 train alike
REFIT = (0, 4, 8)  # iterations at which λ is fitted again
LEAST_VARIATION = 0.1  # of that of the first estimate, below which λ is not fitted
ROUNDING = 1e-6  # per cell and threshold: a smaller variation is but rounding


class EdgesMinimization(Minimization):
    """
    ½ ‖P(x) − y*‖² + λ Σ_a ‖D_a x‖₁, x ≥ minimum if given, with z = D x and v = x split off.

    |u| ≤ 1, as x is in units of the threshold. x̃ follows from the pull, x̂ = offset + factor · pull, with what the data
    say in their own precision: where they determine a mode, the factor is next to nothing.
    """

    name: ClassVar[str] = "edges"

    def __init__(self, limits: Limits, basis: SpectralBasis, backend: Backend, observed: Observed) -> None:
        super().__init__(limits, basis, backend, observed)
        with math.precision(self.split_real.precision):
            first = [part.apply(self.start.x) for part in self._parts()]
        self.variation = self._variation(first)
        self.least = backend.maximum(LEAST_VARIATION * self.variation, ROUNDING * basis.resolution.volume)

    def _first_threshold(self, first: Any) -> Any:
        return THRESHOLD * self.backend.sqrt(self.variance)

    def _curvature(self) -> Tensor:
        return eigenvalues(self.basis) + int(self.limits.minimum)

    def _parts(self) -> tuple[Split, ...]:
        b = self.backend
        edges = [Edges(b, step) for step in differences(self.basis, b)]
        bounds = [Bound(b, b.cast(self.floor / self.threshold, self.split_real))] if self.limits.minimum else []
        return (*edges, *bounds)

    def _refits(self) -> tuple[int, ...]:
        return REFIT

    def _stage(self, state: AdmmState, before: Stage | None) -> tuple[AdmmState, Stage]:
        penalty = self._strength(self._variation(state.z) if before else self.variation)
        return state, Stage(self._parts(), *self._step(penalty), self.threshold)

    def _answer(self, pull: Any, z: tuple[Any, ...]) -> Any:
        return pull

    def _still(self, x: Any) -> Any:
        return (RELAXATION / THRESHOLD) ** 2 * self.basis.resolution.volume

    def _finish(self, answer: Any, stage: Stage) -> Any:
        coefficients = stage.offset + self._of_kind(stage.factor) * self._of_kind(answer)
        coefficients = coefficients * self._of_kind(self.threshold)
        if not self.limits.minimum:
            return coefficients
        return self._modes(self.backend.maximum(self._cells(coefficients), self.floor))

    def _strength(self, variation: Any) -> Any:
        """Computes ρ = λ / threshold per row from Σ_a ‖z_a‖₁."""
        fitted = EVIDENCE * self.noise * self.number / self.backend.maximum(variation, self.least)
        return self.limits.strength * fitted / self.threshold**2

    def _variation(self, split: Sequence[Any]) -> Any:
        """Computes Σ_a ‖z_a‖₁ per row."""
        b, edges = self.backend, split[: self.basis.resolution.rank]
        return b.cast(sum(b.sum(b.abs(part), self.axes, keepdims=True) for part in edges), self.real)
