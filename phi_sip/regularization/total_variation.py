"""Total variation: a prior of flat regions with sharp edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor, instance

from ..checks import check_parameter
from ..differences import differences, eigenvalues
from ..errors import ParameterError
from .base import Regularization, SpectralEstimate, SpectralProblem, power
from .evidence import fit_power_law
from .gaussian import log_sigmoid, posterior_variance
from .spectra import SpectrumEstimate

THRESHOLD = 0.4  # λ/ρ in units of the fluctuation of y*; 0.2 … 0.8 converge alike
RELAXATION = 1.7
EVIDENCE = 1.5  # factor on the evidence fixed point of λ; 0.5 … 5 train alike
REFIT = (0, 5, 12)  # iterations at which λ is fitted again
CHECK_EVERY = 4  # iterations
LEAST_VARIATION = 0.1  # of that of the first estimate, below which λ is not fitted
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
        iterations: At most this many; 20 are within a few percent of convergence.
        tolerance: Stops when x changes by less than this fraction of its fluctuation in every batch entry; 0: never.
            Values that are being traced are not looked at.

    Raises:
        ParameterError: if an argument is out of range.

    Source: Rudin, Osher, Fatemi, "Nonlinear Total Variation Based Noise Removal Algorithms", Physica D 60, 1992;
    Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.1, 3.4.3 (algorithm);
    MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, eq. 4.11 (λ).
    """

    minimum: float | None = None
    strength: float = 1.0
    iterations: int = 20
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        check_parameter("TotalVariation", "strength", self.strength, positive=True)
        check_parameter("TotalVariation", "tolerance", self.tolerance)
        if self.minimum is not None and not abs(self.minimum) < float("inf"):
            raise ParameterError(f"TotalVariation: minimum = {self.minimum}, but it must be a finite number or None.")
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise ParameterError(f"TotalVariation: iterations = {self.iterations}, but it must be an integer ≥ 1.")

    def estimate(self, problem: SpectralProblem) -> SpectralEstimate:
        return self.minimize(problem, fit_power_law(problem, pooled=False))

    def minimize(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> SpectralEstimate:
        """The estimate, with γ from the spectrum S_k."""
        minimization = _Minimization(self, problem, _determined_modes(problem, spectrum.log_power))
        coefficients, iterations = minimization.run()
        return SpectralEstimate(
            coefficients - problem.state,
            {"iterations": math.wrap(iterations)},
            lambda: posterior_variance(problem, spectrum),
        )


class _Minimization:
    """
    The iteration for one problem, in units of the largest gain, on native tensors with the axes last.

    It runs in the precision of the data, so that all frameworks give the same to rounding.
    """

    def __init__(self, rule: TotalVariation, problem: SpectralProblem, determined: Tensor) -> None:
        self.rule, self.basis, self.determined = rule, problem.basis, determined
        self.backend = problem.target.default_backend
        self.steps = differences(self.basis, self.backend)
        unit = math.exp(problem.log_unit)
        self.gain = math.exp(problem.log_gain - problem.log_unit)
        self.noise = problem.noise_power() / unit**2
        self.target = problem.target / unit
        self.data, self.squared_gain = self.target * self.gain, self.gain**2
        self.bounded = rule.minimum is not None
        self.curvature = self._float(eigenvalues(self.basis)) + float(self.bounded)
        self.is_pulled = self._float(self.curvature > 0)  # not the constant, of which a pull is but rounding
        self.fluctuating = 1 - problem.is_constant
        self.variance = self._variance()
        self.others = (problem.target.shape & self.noise.shape).without(self.basis.resolution)
        self.threshold = THRESHOLD * math.sqrt(self.variance)
        self.least_change = rule.tolerance**2 * self.variance * self.basis.resolution.volume
        if self.bounded:
            floor = self._float(math.expand(rule.minimum - problem.offset, self.basis.resolution))
            self.floor, self.exact_floor = self._native(floor), floor

    def run(self) -> tuple[Tensor, int]:
        """Coefficients of the minimizer, and the number of iterations."""
        damping = self.fluctuating * self.noise / self.variance
        x = self.bound = self._native(self.basis.inverse(self.data / (self.squared_gain + damping + self._smallest)))
        self.limit = self._column(self.threshold)
        self.split = [step.apply(x) for step in self.steps]
        self.duals = [part * 0 for part in self.split]
        self.bound_dual = x * 0
        unseen = ROUNDING * self.basis.resolution.volume * self.threshold
        self.least = math.maximum(LEAST_VARIATION * self._variation(), unseen)
        moving, pull = None, math.wrap(0.0)
        for iteration in range(self.rule.iterations):
            if iteration in REFIT:
                self._fit_strength()
            found = self._pull(x, RELAXATION if iteration else 1.0)
            pull = found if moving is None else math.where(moving, found, pull)
            previous, x = x, self._native(self.basis.inverse(self.offset + self.factor * pull))
            if iteration > max(REFIT) and not iteration % CHECK_EVERY:
                moving = self._moves(x - previous, moving)
            if moving is not None and moving.available and not bool(moving.any):
                break
        return self._finish(pull), iteration + 1

    def _finish(self, pull: Tensor) -> Tensor:
        """Coefficients of x, moved into its bound."""
        coefficients = self.offset + self.factor * pull
        if not self.bounded:
            return coefficients
        return self.basis.transform(math.maximum(self.basis.inverse(coefficients), self.exact_floor))

    def _pull(self, x: Any, relaxation: float) -> Tensor:
        """Coefficients of Dᵀ (z − u) and v − u, the right-hand side of the step for x."""
        pull = sum(self._split_difference(i, x, relaxation) for i in range(len(self.steps)))
        if self.bounded:
            pull = pull + self._split_bound(x, relaxation)
        return self.basis.transform(self._tensor(pull))

    def _split_difference(self, i: int, x: Any, relaxation: float) -> Any:
        """z = shrink(D x + u), u = D x + u − z; returns Dᵀ (z − u)."""
        slope = self.steps[i].apply(x)
        if relaxation != 1:
            slope = relaxation * slope + (1 - relaxation) * self.split[i]
        shifted = slope + self.duals[i]
        self.duals[i] = self.backend.clip(shifted, -self.limit, self.limit)
        self.split[i] = shifted - self.duals[i]
        return self.steps[i].adjoint(self.split[i] - self.duals[i])

    def _split_bound(self, x: Any, relaxation: float) -> Any:
        """v = max(x + u, minimum), u = x + u − v; returns v − u."""
        shifted = relaxation * x + (1 - relaxation) * self.bound + self.bound_dual
        self.bound = self.backend.maximum(shifted, self.floor)
        self.bound_dual = shifted - self.bound
        return self.bound - self.bound_dual

    def _fit_strength(self) -> None:
        """λ, and from it x̂ = (h ŷ + ρ pull) / (h² + ρ |D|²) as offset + factor · pull, ρ = λ / threshold."""
        per_variation = 1 / math.maximum(self._variation(), self.least)
        penalty = self.rule.strength * EVIDENCE * self.noise * self.determined * per_variation / self.threshold
        weight = 1 / (self.squared_gain + penalty * self.curvature + self._smallest)
        self.factor, self.offset = penalty * weight * self.is_pulled, self.data * weight

    def _moves(self, change: Any, before: Tensor | None) -> Tensor:
        """Whether x still changes, per batch entry; once at rest, always so."""
        moves = math.sum(self._tensor(change) ** 2, self.basis.resolution.names) > self.least_change
        return moves if before is None else moves & before

    def _variation(self) -> Tensor:
        """Σ_a ‖z_a‖₁."""
        return sum(math.sum(abs(self._faces(part)), "_faces") for part in self.split)

    def _variance(self) -> Tensor:
        """What the signal in y* fluctuates by, squared."""
        total = self.basis.sum(power(self.target) * self.fluctuating) / self.basis.resolution.volume
        signal = math.maximum(total - self.noise, 0.0) + 1e-4 * total
        return math.where(signal > 0, signal, 1.0)

    @property
    def _smallest(self) -> float:
        return float(np.finfo(f"float{self.noise.dtype.precision}").tiny)

    def _float(self, values: Tensor) -> Tensor:
        """In the precision of the data."""
        return math.cast(values, math.DType(float, self.noise.dtype.precision))

    def _native(self, values: Tensor) -> Any:
        return math.expand(values, self.others).native([self.others, *self.basis.resolution.names])

    def _tensor(self, native: Any) -> Tensor:
        return math.reshaped_tensor(native, [self.others, *self.basis.resolution], convert=False)

    def _faces(self, native: Any) -> Tensor:
        flat = self.backend.reshape(native, (native.shape[0], -1))
        return math.reshaped_tensor(flat, [self.others, instance("_faces")], convert=False)

    def _column(self, per_entry: Tensor) -> Any:
        """Native values per batch entry that broadcast over the cells."""
        flat = math.expand(per_entry, self.others).native([self.others])
        return self.backend.reshape(flat, (-1,) + (1,) * self.basis.resolution.rank)


def _determined_modes(problem: SpectralProblem, log_spectrum: Tensor) -> Tensor:
    """γ: how many modes of x the data determine, at least 1."""
    log_ratio = log_spectrum + 2 * problem.log_gain - math.log(problem.noise_power())
    informed = math.exp(log_sigmoid(log_ratio)) * (1 - problem.is_constant)
    return math.maximum(problem.basis.sum(informed), 1.0)
