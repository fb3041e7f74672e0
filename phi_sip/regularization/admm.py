"""The alternating direction method of multipliers on native tensors: what all priors on what is split off share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.backend import Backend
from phiml.math import DType, Tensor

from ..compilation.iterations import repeat
from ..frameworks import operations_of
from ..spectral import SpectralBasis
from ..spectral.rows import inverse_rows, transform_rows
from .admm_state import AdmmState, Limits, Observed, Stage
from .splits import RELAXATION, Split

CHECK_EVERY = 4  # iterations
VANISHING = 1e-20  # factors of the pull below are 0 in single precision, whose range they would leave


class Minimization(ABC):
    """
    The iteration for one problem.

    Gains are in units of the largest one, x in units of the first threshold λ/ρ. It runs in the precision of the data,
    so that all frameworks give the same to rounding; or what is split off is found in single precision.

    Attributes:
        name: Distinguishes minimizations.

    Args:
        limits: What it obeys.
        basis: The modes.
        backend: Framework of the native tensors.
        observed: What it explains.
    """

    name: ClassVar[str]

    def __init__(self, limits: Limits, basis: SpectralBasis, backend: Backend, observed: Observed) -> None:
        b = self.backend = backend
        self.limits, self.basis, self.number, self.floor = limits, basis, observed.number, observed.floor
        self.axes = tuple(range(1, basis.resolution.rank + 1))
        self.real, self.kind = b.dtype(observed.noise), b.dtype(observed.target)
        self.split_real = DType(float, 32) if limits.single else self.real
        split_complex = DType(complex, 64) if limits.single else self.kind
        self.split_kind = self.split_real if self.kind.kind is float else split_complex
        self.smallest = float(np.finfo(f"float{self.real.precision}").tiny)
        log_unit = b.max(observed.log_gain, self.axes, keepdims=True)
        unit, gain = b.exp(log_unit), b.exp(observed.log_gain - log_unit)
        self.noise, self.squared_gain = observed.noise / unit**2, gain * gain
        self.variance = self._variance(observed)
        seen = observed.target * self._of_kind(gain / unit)
        damping = self._constant(1 - basis.is_constant) * self.noise / self.variance
        first = seen * self._of_kind(1 / (self.squared_gain + damping + self.smallest))
        self.threshold = self._first_threshold(first)
        self.data = seen * self._of_kind(1 / self.threshold)
        curvature = self._curvature()
        self.curvature = self._constant(curvature)
        self.is_pulled = self._constant(curvature > 0)  # where it is not, a pull is but rounding
        self.start = self._start(first * self._of_kind(1 / self.threshold), observed.wanted)

    @abstractmethod
    def _first_threshold(self, first: Any) -> Any:
        """Computes λ/ρ of the first stage, the unit of x, from the coefficients of a linear estimate of x."""

    @abstractmethod
    def _curvature(self) -> Tensor:
        """Returns |A|² per mode."""

    @abstractmethod
    def _parts(self) -> tuple[Split, ...]:
        """Returns what is split off in the first stage."""

    @abstractmethod
    def _refits(self) -> tuple[int, ...]:
        """Returns the iterations at which λ is fitted."""

    @abstractmethod
    def _stage(self, state: AdmmState, before: Stage | None) -> tuple[AdmmState, Stage]:
        """Fits λ to the state. Returns both as they are from now on."""

    @abstractmethod
    def _answer(self, pull: Any, z: tuple[Any, ...]) -> Any:
        """Returns what x̃ follows from."""

    @abstractmethod
    def _still(self, x: Any) -> Any:
        """Returns Σ (α Δx)² over the cells below which a row stops, in units of tolerance²."""

    @abstractmethod
    def _finish(self, answer: Any, stage: Stage) -> Any:
        """Returns the coefficients of x̃ in its own unit."""

    def run(self) -> tuple[Any, Any]:
        """Returns the coefficients of the minimizer, and the number of iterations of each row."""
        b, state, last = self.backend, self.start, self.limits.iterations
        stage: Stage | None = None
        for begin, end in pairwise((*(refit for refit in self._refits() if refit < last), last)):
            state, stage = self._stage(state, stage)
            iterate = self._iteration(stage, begin, stops=end == last)
            with math.precision(self.split_real.precision):  # to which PhiML converts
                state = repeat(b, iterate, state, end - begin)
        assert stage is not None, "iterations is at least 1"
        return self._finish(state.answer, stage), b.cast(state.count, self.real)

    def _start(self, coefficients: Any, wanted: Any) -> AdmmState:
        """Returns the state at an estimate of x with these coefficients, where nothing has been split off."""
        b, threshold = self.backend, self._per_row(self.threshold)
        count, pull = b.cast(threshold * 0, self.split_real), b.cast(coefficients, self.split_kind)
        with math.precision(self.split_real.precision):
            x = self._cells(pull)
            nothing = tuple(part.apply(x) * 0 for part in self._parts())
        moving = (threshold > 0) & (self._per_row(wanted) > 0)
        return AdmmState(moving, count, x, self._answer(pull, nothing), nothing, nothing)

    def _iteration(self, stage: Stage, begin: int, *, stops: bool) -> Callable[[AdmmState], AdmmState]:
        """Returns one iteration. If it `stops`, rows come to rest."""
        b, parts = self.backend, stage.parts
        offset = b.cast(RELAXATION * stage.offset, self.split_kind)
        vanishing = b.where(stage.factor > VANISHING, RELAXATION * stage.factor, stage.factor * 0)
        factor = b.cast(vanishing, self.split_kind)

        def iterate(state: AdmmState) -> AdmmState:
            pulled = [part.move(state.x, z, u) for part, z, u in zip(parts, state.z, state.u, strict=True)]
            pulls = [part.adjoint(z - u) for part, (z, u) in zip(parts, pulled, strict=True)]
            pull = self._modes(sum(pulls[1:], pulls[0]))
            x = self._cells(offset + factor * pull)
            z, u = zip(*pulled, strict=True)
            answer = self._answer(pull, z)
            if stops:
                answer = operations_of(b).where_rows(state.moving, answer, state.answer)
            going_on = state.moving & self._moves(x, state, begin) if stops else state.moving
            return AdmmState(going_on, state.count + b.cast(state.moving, self.split_real), x, answer, z, u)

        return iterate

    def _moves(self, x: Any, state: AdmmState, begin: int) -> Any:
        """
        Tells which rows still change.

        It looks at every fourth iteration after the last fit of λ. At all others every row counts as changing.
        """
        b, change, tolerance = self.backend, x - state.x, self.limits.tolerance
        looks = (state.count > begin) & (state.count % CHECK_EVERY == 0)
        return ~looks | (b.sum(change * change, self.axes) > tolerance**2 * self._still(x))

    def _step(self, penalty: Any) -> tuple[Any, Any]:
        """Computes x̂ = (h ŷ + ρ pull) / (h² + ρ |A|²) as offset + factor · pull."""
        weight = 1 / (self.squared_gain + penalty * self.curvature + self.smallest)
        return self.data * self._of_kind(weight), penalty * weight * self.is_pulled

    def _variance(self, observed: Observed) -> Any:
        """Computes the square of what the signal in y* fluctuates by, per row."""
        b, basis = self.backend, self.basis
        unit_power = b.max(observed.log_gain + 0.5 * observed.log_power, self.axes, keepdims=True)
        target = observed.target * self._of_kind(b.exp(0.5 * observed.log_power))
        weights = self._constant(basis.multiplicity() * (1 - basis.is_constant) / basis.resolution.volume)
        parts = [target] if basis.is_real else [b.real(target), b.imag(target)]
        unit = b.exp(unit_power)
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
