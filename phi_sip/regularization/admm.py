"""Total variation by the alternating direction method of multipliers, on native tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from phiml import math
from phiml.backend import Backend
from phiml.math import DType, Tensor

from ..compilation.iterations import repeat
from ..spectral import SpectralBasis
from ..spectral.differences import differences, eigenvalues
from ..spectral.rows import inverse_rows, transform_rows
from .admm_state import AdmmState, Limits, Observed
from .splits import RELAXATION, Bound, Edges, Split

THRESHOLD = 0.6  # λ/ρ in units of the fluctuation of y*; 0.4 … 0.8 converge alike
EVIDENCE = 1.5  # factor on the evidence fixed point of λ; 0.5 … 5 train alike
REFIT = (0, 4, 8)  # iterations at which λ is fitted again
CHECK_EVERY = 4  # iterations
VANISHING = 1e-20  # factors of the pull below are 0 in single precision, whose range they would leave
LEAST_VARIATION = 0.1  # of that of the first estimate, below which λ is not fitted
ROUNDING = 1e-6  # per cell and threshold: a smaller variation is but rounding


class Minimization:
    """
    The iteration for one problem.

    Gains are in units of the largest one, x in units of the threshold λ/ρ, so that |u| ≤ 1. It runs in the precision of
    the data, so that all frameworks give the same to rounding; or what is split off is found in single precision, and
    what the data say enters in theirs, x̂ = offset + factor · pull: where they determine a mode, the factor is next to
    nothing.

    Args:
        limits: What it obeys.
        basis: The modes.
        backend: Framework of the native tensors.
        observed: What it explains.
    """

    def __init__(self, limits: Limits, basis: SpectralBasis, backend: Backend, observed: Observed) -> None:
        b = self.backend = backend
        self.limits, self.basis, self.determined, self.floor = limits, basis, observed.determined, observed.floor
        self.axes = tuple(range(1, basis.resolution.rank + 1))
        self.real, self.kind = b.dtype(observed.noise), b.dtype(observed.target)
        self.split_real = DType(float, 32) if limits.single else self.real
        split_complex = DType(complex, 64) if limits.single else self.kind
        self.split_kind = self.split_real if self.kind.kind is float else split_complex
        self.smallest = float(np.finfo(f"float{self.real.precision}").tiny)
        log_unit = b.max(observed.log_gain, self.axes, keepdims=True)
        unit, gain = b.exp(log_unit), b.exp(observed.log_gain - log_unit)
        self.noise, self.squared_gain = observed.noise / unit**2, gain * gain
        variance = self._variance(observed)
        self.threshold = THRESHOLD * b.sqrt(variance)
        self.data = observed.target * self._of_kind(gain / (unit * self.threshold))
        damping = self._constant(1 - basis.is_constant) * self.noise / variance
        bounds = [Bound(b, b.cast(self.floor / self.threshold, self.split_real))] if limits.minimum else []
        self.parts: list[Split] = [*(Edges(b, step) for step in differences(basis, b)), *bounds]
        curvature = eigenvalues(basis) + len(bounds)
        self.curvature = self._constant(curvature)
        self.is_pulled = self._constant(curvature > 0)  # not the constant, of which a pull is but rounding
        self.start = self._start(self.data * self._of_kind(1 / (self.squared_gain + damping + self.smallest)))
        with math.precision(self.split_real.precision):
            first = [part.apply(self.start.x) for part in self.parts]
        self.variation = self._variation(first)
        self.least = b.maximum(LEAST_VARIATION * self.variation, ROUNDING * basis.resolution.volume)

    def run(self) -> tuple[Any, Any]:
        """Returns the coefficients of the minimizer, and the number of iterations of each row."""
        b, state = self.backend, self.start
        refits = [iteration for iteration in REFIT if iteration < self.limits.iterations]
        for begin, end in pairwise((*refits, self.limits.iterations)):
            offset, factor = self._step(self._strength(self._variation(state.z) if begin else self.variation))
            iterate = self._iteration(offset, factor, stops=begin == max(REFIT))
            with math.precision(self.split_real.precision):  # to which PhiML converts
                state = repeat(b, iterate, state, end - begin)
        return self._finish(offset + self._of_kind(factor) * self._of_kind(state.pull)), b.cast(state.count, self.real)

    def _start(self, coefficients: Any) -> AdmmState:
        """Returns the state at an estimate of x with these coefficients, where nothing has been split off."""
        b, threshold = self.backend, self._per_row(self.threshold)
        x = b.cast(self._cells(coefficients), self.split_real)
        count, pull = b.cast(threshold * 0, self.split_real), b.cast(coefficients, self.split_kind)
        with math.precision(self.split_real.precision):
            nothing = tuple(part.apply(x) * 0 for part in self.parts)
        return AdmmState(threshold > 0, count, x, pull, nothing, nothing)

    def _iteration(self, offset: Any, factor: Any, *, stops: bool) -> Callable[[AdmmState], AdmmState]:
        """Returns one iteration. If it `stops`, rows come to rest."""
        b = self.backend
        offset = b.cast(RELAXATION * offset, self.split_kind)
        factor = b.cast(b.where(factor > VANISHING, RELAXATION * factor, factor * 0), self.split_kind)

        def iterate(state: AdmmState) -> AdmmState:
            pulled = [part.move(state.x, z, u) for part, z, u in zip(self.parts, state.z, state.u, strict=True)]
            pulls = [part.adjoint(z - u) for part, (z, u) in zip(self.parts, pulled, strict=True)]
            found = self._modes(sum(pulls[1:], pulls[0]))
            pull = b.where(self._column(state.moving), found, state.pull) if stops else found
            x = self._cells(offset + factor * pull)
            going_on = state.moving & self._moves(x - state.x, state.count) if stops else state.moving
            z, u = zip(*pulled, strict=True)
            return AdmmState(going_on, state.count + b.cast(state.moving, self.split_real), x, pull, z, u)

        return iterate

    def _moves(self, change: Any, count: Any) -> Any:
        """
        Tells which rows still change.

        It looks at every fourth iteration after the last fit of λ. At all others every row counts as changing.
        """
        b, tolerance = self.backend, RELAXATION * self.limits.tolerance / THRESHOLD
        looks = (count > max(REFIT)) & (count % CHECK_EVERY == 0)
        return ~looks | (b.sum(change * change, self.axes) > tolerance**2 * self.basis.resolution.volume)

    def _strength(self, variation: Any) -> Any:
        """Computes ρ = λ / threshold per row from Σ_a ‖z_a‖₁."""
        fitted = EVIDENCE * self.noise * self.determined / self.backend.maximum(variation, self.least)
        return self.limits.strength * fitted / self.threshold**2

    def _step(self, penalty: Any) -> tuple[Any, Any]:
        """Computes x̂ = (h ŷ + ρ pull) / (h² + ρ |A|²) as offset + factor · pull."""
        weight = 1 / (self.squared_gain + penalty * self.curvature + self.smallest)
        return self.data * self._of_kind(weight), penalty * weight * self.is_pulled

    def _finish(self, coefficients: Any) -> Any:
        """Returns the coefficients of x in its own unit, moved into its bound."""
        coefficients = coefficients * self._of_kind(self.threshold)
        if not self.limits.minimum:
            return coefficients
        return self._modes(self.backend.maximum(self._cells(coefficients), self.floor))

    def _variation(self, split: Sequence[Any]) -> Any:
        """Computes Σ_a ‖z_a‖₁ per row."""
        b, edges = self.backend, split[: self.basis.resolution.rank]
        return b.cast(sum(b.sum(b.abs(part), self.axes, keepdims=True) for part in edges), self.real)

    def _variance(self, observed: Observed) -> Any:
        """Computes the square of what the signal in y* fluctuates by, per row."""
        b, basis = self.backend, self.basis
        target = observed.target * self._of_kind(b.exp(0.5 * observed.log_power))
        unit = b.exp(b.max(observed.log_gain + 0.5 * observed.log_power, self.axes, keepdims=True))
        weights = self._constant(basis.multiplicity() * (1 - basis.is_constant) / basis.resolution.volume)
        parts = [target] if basis.is_real else [b.real(target), b.imag(target)]
        total = sum(b.sum(part * part * weights, self.axes, keepdims=True) for part in parts) / unit**2
        signal = b.maximum(total - observed.noise / unit**2, 0.0) + 1e-4 * total
        return b.where(signal > 0, signal, signal * 0 + 1)

    def _cells(self, coefficients: Any) -> Any:
        """Computes values per cell."""
        return inverse_rows(self.basis, coefficients, self.backend)

    def _modes(self, values: Any) -> Any:
        """Computes coefficients."""
        return transform_rows(self.basis, values, self.backend)

    def _constant(self, per_mode: Tensor) -> Any:
        """Returns a table of the basis as a native tensor that broadcasts over rows."""
        table = math.expand(per_mode, self.basis.modes).numpy(self.basis.modes.names)[None]
        return self.backend.as_tensor(table.astype(f"float{self.real.precision}"))

    def _of_kind(self, real: Any) -> Any:
        """Converts real numbers to the type of coefficients."""
        return self.backend.cast(real, self.kind)

    def _per_row(self, column: Any) -> Any:
        return self.backend.reshape(column, (-1,))

    def _column(self, per_row: Any) -> Any:
        return self.backend.reshape(per_row, (-1, *(1 for _ in self.axes)))
