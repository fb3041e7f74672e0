"""Total variation: a prior of flat regions with sharp edges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from phiml import math
from phiml.backend import Backend
from phiml.math import EMPTY_SHAPE, Shape, Tensor, spatial

from ..compilation import keys
from ..compilation.cache import CompiledFunctions
from ..compilation.objects import NoKeyError
from ..errors import ParameterError
from ..frameworks import operations_of
from ..spectral import SpectralBasis
from ..spectral.differences import Difference, differences, eigenvalues
from ..states.checks import check_count, check_parameter
from .base import Regularization, SpectralEstimate, SpectralProblem
from .evidence import fit_power_law
from .gaussian import posterior_variance
from .spectra import SpectrumEstimate

THRESHOLD = 0.6  # λ/ρ in units of the fluctuation of y*; 0.4 … 0.8 converge alike
RELAXATION = 1.8
EVIDENCE = 1.5  # factor on the evidence fixed point of λ; 0.5 … 5 train alike
REFIT = (0, 4, 8)  # iterations at which λ is fitted again
CHECK_EVERY = 4  # iterations
LEAST_VARIATION = 0.1  # of that of the first estimate, below which λ is not fitted
BLOCK = 2**16  # cells that are iterated on at once where nothing is compiled, so that they stay in the cache
ROUNDING = 1e-6  # per cell and threshold: a smaller variation is but rounding


@dataclass(frozen=True)
class TotalVariation(Regularization):
    """
    The state with the least edges that explains the observation:

        x̃ = argmin_x ½ ‖P(x) − y*‖² + λ Σ_a ‖D_a x‖₁,   x ≥ minimum if given

    with D_a the difference between neighbours along axis a. λ is fitted to each observation by the fixed point of its
    evidence, for a prior exp(−λ/σ² Σ‖D x‖₁) and γ modes that the data determine, S_k being that of `EmpiricalBayes`:

        λ = 1.5 σ² γ / Σ_a ‖D_a x‖₁,   γ = Σ_k S_k h_k² / (S_k h_k² + σ²)

    by the alternating direction method of multipliers, z = D x and v = x split off, over-relaxed, with the step for x
    solved exactly in the modes. Every batch entry stands for itself, and x̃ depends on y* alone. On data with edges it
    goes well below what any linear rule can; on smooth fields it is worse (`docs/noise.md`). The
    uncertainty is that of the linear posterior with the spectrum S_k, larger than the error where there are edges.

    Args:
        minimum: Least value that x may have, e.g. 0.0 for concentrations; `None`: any.
        strength: Factor on λ, > 0.
        iterations: At most this many; 14 are within a few percent of convergence.
        tolerance: Stops when x changes by less than this fraction of its fluctuation in every batch entry; 0: never.

    Raises:
        ParameterError: if an argument is out of range.

    Source: Rudin, Osher, Fatemi, "Nonlinear Total Variation Based Noise Removal Algorithms", Physica D 60, 1992;
    Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.1, 3.4.3 (algorithm);
    MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, eq. 4.11 (λ).
    """

    minimum: float | None = None
    strength: float = 1.0
    iterations: int = 14
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        check_parameter("TotalVariation", "strength", self.strength, positive=True)
        check_parameter("TotalVariation", "tolerance", self.tolerance)
        check_count("TotalVariation", "iterations", self.iterations)
        if self.minimum is not None and not (isinstance(self.minimum, Real) and isfinite(self.minimum)):
            raise ParameterError(f"TotalVariation: minimum = {self.minimum}, but it must be a finite number or None.")

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        return self.minimize(problem, fit_power_law(problem, pooled=False))

    def minimize(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> SpectralEstimate:
        """The estimate, with γ from the spectrum S_k."""
        coefficients, iterations = self.minimizer(problem, _determined_modes(problem, spectrum.log_power))
        return SpectralEstimate(
            coefficients,
            stats={"iterations": iterations},
            variance=lambda: posterior_variance(problem, spectrum),
        )

    def minimizer(self, problem: SpectralProblem, determined: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of x̃ for γ = `determined`, and the number of iterations of each batch entry."""
        basis, backend = problem.basis, problem.target.default_backend
        noise, floor = problem.noise_power, math.to_float(math.wrap(self.minimum or 0.0)) - problem.offset
        rows = (problem.target.shape & problem.log_gain.shape & noise.shape & floor.shape).without(basis.resolution)

        def native(values: Tensor, sizes: Shape) -> Any:
            """One row per entry, or a single one that stands for all."""
            shared = not values.shape.only(rows)
            whole = math.expand(math.convert(values, backend), sizes if shared else rows & sizes)
            return backend.as_tensor(whole.native([EMPTY_SHAPE if shared else rows, *sizes.names]))

        ones = spatial(**dict.fromkeys(basis.resolution.names, 1))
        data = (
            backend.as_tensor(math.expand(problem.target, rows & basis.modes).native([rows, *basis.modes.names])),
            native(problem.log_gain, basis.modes),
            *(native(math.expand(values, ones), ones) for values in (noise, determined)),
            native(floor, basis.resolution),
        )
        is_traced = not all(values.available for values in (problem.target, problem.log_gain, noise, determined, floor))
        found, iterations = _run(self, basis, backend, data, is_traced)
        return (
            math.reshaped_tensor(found, [rows, *basis.modes], convert=False),
            math.reshaped_tensor(iterations, [rows], convert=False),
        )


KEPT = 32  # compiled minimizations
_compiled = CompiledFunctions(KEPT)


def _run(rule: TotalVariation, basis: SpectralBasis, backend: Backend, data: Sequence[Any], is_traced: bool) -> Any:
    """The minimization of native tensors, compiled where the framework compiles, once for each kind of problem."""

    def minimize(*data: Any) -> tuple[Any, Any]:
        return _Minimization(rule, basis, backend, *data).run()

    if is_traced:
        return minimize(*data)
    framework = operations_of(backend)
    if not framework.COMPILES:
        return _in_blocks(minimize, basis, backend)(*data)
    about = [(tuple(native.shape), str(native.dtype)) for native in data]
    try:
        key = keys.of_value((rule, basis.resolution, basis.size, basis.sides, backend, about))
    except NoKeyError:
        return minimize(*data)
    compiled = _compiled.find(key) or framework.compile(minimize)
    _compiled.keep(key, compiled)
    return compiled(*data)


def _in_blocks(minimize: Callable[..., tuple[Any, Any]], basis: SpectralBasis, backend: Backend) -> Any:
    """Some rows after the other: where nothing is compiled, each operation passes over all of its data."""
    size = max(1, BLOCK // basis.resolution.volume)

    def minimize_blocks(*data: Any) -> tuple[Any, Any]:
        starts = range(0, data[0].shape[0], size)
        blocks = [minimize(*(v if v.shape[0] == 1 else v[i : i + size] for v in data)) for i in starts]
        found, iterations = zip(*blocks, strict=True)
        return backend.concat(found, 0), backend.concat(iterations, 0)

    return minimize_blocks


class _Minimization:
    """
    The iteration for one problem, on native tensors with a row per batch entry and the axes last.

    Gains are in units of the largest one, x in units of the threshold λ/ρ, so that |u| ≤ 1. It runs in the precision of
    the data, so that all frameworks give the same to rounding.
    """

    def __init__(
        self,
        rule: TotalVariation,
        basis: SpectralBasis,
        backend: Backend,
        target: Any,
        log_gain: Any,
        noise: Any,
        determined: Any,
        floor: Any,
    ) -> None:
        b = self.backend = backend
        self.rule, self.basis, self.determined, self.floor = rule, basis, determined, floor
        self.axes = tuple(range(1, basis.resolution.rank + 1))
        self.real, self.kind = b.dtype(noise), b.dtype(target)
        self.smallest = float(np.finfo(f"float{self.real.precision}").tiny)
        log_unit = b.max(log_gain, self.axes, keepdims=True)
        unit, gain = b.exp(log_unit), b.exp(log_gain - log_unit)
        self.noise, self.squared_gain = noise / unit**2, gain * gain
        variance = self._variance(target, unit)
        self.threshold = THRESHOLD * b.sqrt(variance)
        self.data = target * self._of_kind(gain / (unit * self.threshold))
        damping = self._constant(1 - basis.is_constant) * self.noise / variance
        self.start = self.data * self._of_kind(1 / (self.squared_gain + damping + self.smallest))
        bounds = [] if rule.minimum is None else [_Bound(b, floor / self.threshold)]
        self.parts: list[_Split] = [*(_Edges(b, step) for step in differences(basis, b)), *bounds]
        curvature = eigenvalues(basis) + len(bounds)
        self.curvature = self._constant(curvature)
        self.is_pulled = self._constant(curvature > 0)  # not the constant, of which a pull is but rounding

    def run(self) -> tuple[Any, Any]:
        """Coefficients of the minimizer, and the number of iterations of each row."""
        x = self._cells(self.start)
        split = tuple(part.apply(x) for part in self.parts)
        unseen = ROUNDING * self.basis.resolution.volume
        self.least = self.backend.maximum(LEAST_VARIATION * self._variation(split), unseen)
        nothing = tuple(values * 0 for values in split)
        moving = self._per_row(self.threshold) > 0
        state = (moving, self._per_row(self.threshold) * 0, x, self.start, *nothing, *nothing)
        refits = [iteration for iteration in REFIT if iteration < self.rule.iterations]
        for begin, end in pairwise((*refits, self.rule.iterations)):
            offset, factor = self._step(self._strength(state[4 : 4 + len(split)] if begin else split))
            iterate = self._iteration(offset, factor, stops=begin == max(REFIT))
            state = self.backend.while_loop(iterate, state, end - begin)
        return self._finish(offset + factor * state[3]), state[1]

    def _iteration(self, offset: Any, factor: Any, *, stops: bool) -> Callable[..., tuple[Any, ...]]:
        """
        One iteration as a function of what changes: which rows go on, how many iterations they have done, α x, the
        coefficients of Σ Aᵀ (z − u), and z and u of all parts. If it `stops`, rows come to rest.
        """
        b, parts = self.backend, self.parts
        offset, factor = RELAXATION * offset, RELAXATION * factor

        def iterate(moving: Any, count: Any, x: Any, pull: Any, *split: Any) -> tuple[Any, ...]:
            z, u = split[: len(parts)], split[len(parts) :]
            pulled = [part.move(x, *state) for part, *state in zip(parts, z, u, strict=True)]
            pulls = [part.adjoint(z - u) for part, (z, u) in zip(parts, pulled, strict=True)]
            found = self._modes(sum(pulls[1:], pulls[0]))
            pull = b.where(self._column(moving), found, pull) if stops else found
            previous, x = x, self._cells(offset + factor * pull)
            going_on = moving & self._moves(x - previous, count) if stops else moving
            z, u = zip(*pulled, strict=True)
            return (going_on, count + b.cast(moving, self.real), x, pull, *z, *u)

        return iterate

    def _moves(self, change: Any, count: Any) -> Any:
        """Which rows still change, as seen at every fourth iteration after the last fit of λ; all at the others."""
        b, tolerance = self.backend, RELAXATION * self.rule.tolerance / THRESHOLD
        looks = (count > max(REFIT)) & (count % CHECK_EVERY == 0)
        return ~looks | (b.sum(change * change, self.axes) > tolerance**2 * self.basis.resolution.volume)

    def _strength(self, split: Sequence[Any]) -> Any:
        """ρ = λ / threshold, per row."""
        fitted = EVIDENCE * self.noise * self.determined / self.backend.maximum(self._variation(split), self.least)
        return self.rule.strength * fitted / self.threshold**2

    def _step(self, penalty: Any) -> tuple[Any, Any]:
        """x̂ = (h ŷ + ρ pull) / (h² + ρ |A|²) as offset + factor · pull."""
        weight = 1 / (self.squared_gain + penalty * self.curvature + self.smallest)
        return self.data * self._of_kind(weight), self._of_kind(penalty * weight * self.is_pulled)

    def _finish(self, coefficients: Any) -> Any:
        """Coefficients of x in its own unit, moved into its bound."""
        coefficients = coefficients * self._of_kind(self.threshold)
        if self.rule.minimum is None:
            return coefficients
        return self._modes(self.backend.maximum(self._cells(coefficients), self.floor))

    def _variation(self, split: Sequence[Any]) -> Any:
        """Σ_a ‖z_a‖₁ per row."""
        b, edges = self.backend, split[: self.basis.resolution.rank]
        return sum(b.sum(b.abs(part), self.axes, keepdims=True) for part in edges)

    def _variance(self, target: Any, unit: Any) -> Any:
        """What the signal in y* fluctuates by, squared, per row."""
        b, basis = self.backend, self.basis
        weights = self._constant(basis.multiplicity() * (1 - basis.is_constant) / basis.resolution.volume)
        parts = [target] if basis.is_real else [b.real(target), b.imag(target)]
        total = sum(b.sum(part * part * weights, self.axes, keepdims=True) for part in parts) / unit**2
        signal = b.maximum(total - self.noise, 0.0) + 1e-4 * total
        return b.where(signal > 0, signal, signal * 0 + 1)

    def _cells(self, coefficients: Any) -> Any:
        """Values per cell."""
        return self.basis.inverse_rows(coefficients, self.backend)

    def _modes(self, values: Any) -> Any:
        """Coefficients."""
        return self.basis.transform_rows(values, self.backend)

    def _constant(self, per_mode: Tensor) -> Any:
        """A table of the basis that broadcasts over rows."""
        table = math.expand(per_mode, self.basis.modes).numpy(self.basis.modes.names)[None]
        return self.backend.as_tensor(table.astype(f"float{self.real.precision}"))

    def _of_kind(self, real: Any) -> Any:
        """In the type of coefficients."""
        return self.backend.cast(real, self.kind)

    def _per_row(self, column: Any) -> Any:
        return self.backend.reshape(column, (-1,))

    def _column(self, per_row: Any) -> Any:
        return self.backend.reshape(per_row, (-1, *(1 for _ in self.axes)))


@dataclass(frozen=True)
class _Split(ABC):
    """z = A x split off from x: z takes the prior on A x, u is its dual, scaled."""

    backend: Backend

    @abstractmethod
    def apply(self, x: Any) -> Any:
        """A x."""

    @abstractmethod
    def adjoint(self, values: Any) -> Any:
        """Aᵀ values."""

    @abstractmethod
    def dual(self, moved: Any) -> Any:
        """u for w = `moved`."""

    def move(self, x: Any, z: Any, u: Any) -> tuple[Any, Any]:
        """z and u after a step with α x = `x`: of w = α A x + (1 − α) z + u, the dual is u, and the rest z."""
        moved = self.apply(x) + (u - (RELAXATION - 1) * z)
        dual = self.dual(moved)
        return moved - dual, dual


@dataclass(frozen=True)
class _Edges(_Split):
    """A = D along one axis; z shrinks by 1, u is what is cut off."""

    difference: Difference

    def apply(self, x: Any) -> Any:
        return self.difference.apply(x)

    def adjoint(self, values: Any) -> Any:
        return self.difference.adjoint(values)

    def dual(self, moved: Any) -> Any:
        return self.backend.clip(moved, -1.0, 1.0)


@dataclass(frozen=True)
class _Bound(_Split):
    """A = 1; z is at least `floor`, u how far it was below."""

    floor: Any

    def apply(self, x: Any) -> Any:
        return x

    def adjoint(self, values: Any) -> Any:
        return values

    def dual(self, moved: Any) -> Any:
        return self.backend.minimum(moved - self.floor, 0.0)


def _determined_modes(problem: SpectralProblem, log_spectrum: Tensor) -> Tensor:
    """γ: how many modes of x the data determine, at least 1."""
    log_ratio = log_spectrum + 2 * problem.log_gain - math.log(problem.noise_power)
    informed = (1 - problem.is_constant) / (1 + math.exp(-math.maximum(log_ratio, -80.0)))
    return math.maximum(problem.basis.sum(informed), 1.0)
