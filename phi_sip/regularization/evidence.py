"""Power-law spectra fitted to observations by their marginal likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from phiml import math
from phiml.math import Tensor, channel, expand, instance, spatial

from ..spectral import SpectralBasis
from ..states import workers
from .base import SpectralProblem
from .spectra import SpectrumEstimate, log_wavenumber

EXPONENTS = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.5, 9.0])
SCORING = 6  # steps towards the best amplitude of a law
LONGEST_STEP = 3.0  # of log A
PRIOR = 0.1  # 1 / variance of log A before anything is observed
SPACING = 1.25
REFINEMENTS = (0.3, 0.075)  # of the grid around the best law, of a fraction of β
SIGNIFICANT = 10.0  # log of the evidence for any signal at all over that for none
EVIDENT = 50.0  # |â_k|² / σ², which noise alone exceeds once in 1e12 modes
NOTHING = -80.0  # log (S_k h_max² / σ²) where there is none
_PICKED = instance("_picked")
_FAMILY, _EXPONENT = channel("_family"), channel("_exponent")
_PART = channel("_part")
_FIT = ("_family", "_exponent")


def fit_power_law(problem: SpectralProblem, *, pooled: bool) -> SpectrumEstimate:
    """
    S_k, averaged over power laws with their evidence as weight, see `EmpiricalBayes`.

    The evidence is that of a subset of the modes: all of the longest, then every one whose index is 1.25 times that of
    the one before, so that it costs the same on any grid; without those whose gain is far below rounding. Where the
    modes but the constant hold nothing but noise, as after a very long time, S_k is 0: an amplitude fitted to noise
    would be amplified without bound.

    Args:
        problem: Observation; σ as `noise_power`.
        pooled: Whether all batch entries, of all workers, share one law. Many observations know it so well that the
            grid of laws is refined around the best.
    """
    noise = problem.noise_power
    observation = _Observation(problem, pooled)
    laws = observation.laws(math.to_float(math.wrap(EXPONENTS, _EXPONENT)))
    for width in REFINEMENTS if pooled else ():
        laws = observation.laws(laws.around_mean(width))
    weights = _normalized(laws.log_weight, _FIT)
    mean_log_amplitude = math.sum(weights * laws.log_amplitude, _FIT)
    mean_exponent = math.sum(weights * laws.exponent, _EXPONENT)
    rounding = problem.rounding_unit**2 * problem.basis.sum(problem.power)  # not white: maybe all in one mode
    seen = (math.max(laws.evidence, _FIT) - observation.evidence_of_nothing() > SIGNIFICANT) & (
        observation.power * noise > rounding
    )
    evident = _evident(problem, noise, rounding)
    nothing = math.log(noise) + NOTHING - 2 * problem.log_unit
    all_features = _features(problem)

    def or_nothing(fitted: Tensor) -> Tensor:
        return math.maximum(math.where(seen, fitted, nothing), evident)

    def log_mean() -> Tensor:
        amplitudes = weights * math.exp(laws.log_amplitude - mean_log_amplitude + 0.5 * laws.variance)
        parts = [
            math.sum(
                amplitudes[{"_exponent": i}] * math.exp(-laws.exponent[{"_exponent": i}] * all_features), "_family"
            )
            for i in range(laws.exponent.shape.get_size("_exponent"))
        ]
        return or_nothing(mean_log_amplitude + math.log(sum(parts[1:], parts[0])))

    mean_log = mean_log_amplitude - math.dot(mean_exponent, "_family", all_features, "_family")
    return SpectrumEstimate(or_nothing(mean_log), log_mean)


@dataclass(frozen=True)
class _Laws:
    """
    Laws S_k = A exp(−β f_k) with the best A of each β.

    Attributes:
        exponent: β, along `_exponent`.
        log_amplitude: log A.
        variance: That of log A, given the observation.
        evidence: Log of the marginal likelihood with this A.
    """

    exponent: Tensor
    log_amplitude: Tensor
    variance: Tensor
    evidence: Tensor

    @property
    def log_weight(self) -> Tensor:
        """Log of the marginal likelihood, integrated over log A by Laplace's method."""
        return self.evidence + 0.5 * math.log(self.variance)

    def around_mean(self, width: float) -> Tensor:
        """β within this fraction of the mean law of each family."""
        steps = math.to_float(math.wrap(np.linspace(-width, width, 9), _EXPONENT))
        return math.sum(_normalized(self.log_weight, "_exponent") * self.exponent, "_exponent") * (1 + steps)


class _Observation:
    """
    What the picked modes of an observation say about laws; shared ones are summed over batch entries and workers.

    Attributes:
        power: Σ_k |â_k|² of the picked modes that are not the constant, in units of the noise.
    """

    def __init__(self, problem: SpectralProblem, pooled: bool) -> None:
        lattice = _lattice(problem.basis)
        alive = _alive(problem, lattice)

        def pick(per_mode: Tensor) -> Tensor:
            return alive(lattice.pick(per_mode))

        noise = problem.noise_power
        self._log_noise = math.log(noise)
        self._varies = pick(problem.is_constant) == 0
        self._counts = alive(math.to_float(lattice.counts)) * math.to_float(self._varies)
        self._observed = pick(problem.power) * self._counts / noise
        self._log_gain = 2 * pick(problem.log_gain)
        self._features = pick(_features(problem))
        self._entries = (problem.target.shape & noise.shape & problem.log_gain.shape).batch
        self._pooled = pooled
        self.power = math.sum(self._observed, _PICKED)

    def laws(self, exponent: Tensor) -> _Laws:
        """
        The best law for each β, by Fisher scoring of its evidence

            ½ Σ m q (|â|² / v − 1) / ½ Σ m q²,   q = 1 − 1/v,   v = S h² + 1 in units of the noise
        """
        log_shape = self._log_gain - exponent * self._features
        least = math.min(log_shape, _PICKED)
        peak = math.max(math.where(self._varies, log_shape, least), _PICKED)
        shape = math.exp(math.minimum(log_shape - peak, 0.0))  # so that no unit of length or of y overflows
        log_amplitude = self._start(peak, shape)
        for _ in range(SCORING):
            inverse = self._inverse_variance(log_amplitude, peak, shape)
            gradient, information = self._slope(inverse)
            log_amplitude = log_amplitude + math.clip(gradient / information, -LONGEST_STEP, LONGEST_STEP)
        inverse = self._inverse_variance(log_amplitude, peak, shape)
        return _Laws(exponent, log_amplitude, 1 / self._slope(inverse)[1], self._evidence(inverse))

    def evidence_of_nothing(self) -> Tensor:
        """That of no law."""
        return self._over_entries(-0.5 * self.power)[0]

    def _start(self, peak: Tensor, shape: Tensor) -> Tensor:
        """log A that explains the power above the noise, or a trace of it."""
        highest = self._highest(peak - self._log_noise)
        explained = math.dot(shape, "_picked", self._counts, "_picked") * math.exp(peak - self._log_noise - highest)
        total = math.sum(self._counts, _PICKED)
        per_amplitude, power, modes = self._over_entries(explained, self.power, total)
        signal = math.maximum(power - modes, 1e-3 * modes)
        signal, per_amplitude = (math.where(modes > 0, values, 1.0) for values in (signal, per_amplitude))
        return math.log(signal / per_amplitude) - highest

    def _inverse_variance(self, log_amplitude: Tensor, peak: Tensor, shape: Tensor) -> Tensor:
        """1 / v."""
        return 1 / (1 + math.exp(log_amplitude + peak - self._log_noise) * shape)

    def _slope(self, inverse: Tensor) -> tuple[Tensor, Tensor]:
        """First derivative of the evidence by log A, and its expected curvature; (1 − q) q = 1/v − 1/v²."""
        falls = inverse - inverse * inverse
        left, fallen = (math.dot(values, "_picked", self._counts, "_picked") for values in (inverse, falls))
        rises, explained = math.sum(self._counts, _PICKED) - left, math.dot(falls, "_picked", self._observed, "_picked")
        gradient, information = self._over_entries(explained - rises, rises - fallen)
        return 0.5 * gradient, 0.5 * information + PRIOR

    def _evidence(self, inverse: Tensor) -> Tensor:
        """−½ Σ m [log v + |â|² / v]."""
        logs = math.dot(math.log(inverse), "_picked", self._counts, "_picked")
        return self._over_entries(0.5 * (logs - math.dot(inverse, "_picked", self._observed, "_picked")))[0]

    def _over_entries(self, *values: Tensor) -> tuple[Tensor, ...]:
        """The sums over what shares a law, in one reduction."""
        if not self._pooled:
            return values
        sums = math.stack(
            [math.sum(math.expand(v, self._entries), self._entries) for v in values], _PART, expand_values=True
        )
        return tuple(math.unstack(workers.total(sums), _PART))

    def _highest(self, values: Tensor) -> Tensor:
        """The largest of what shares a law."""
        return workers.largest(math.max(values, self._entries)) if self._pooled else values


def _features(problem: SpectralProblem) -> Tensor:
    return math.cast(log_features(problem.basis), problem.noise_std.dtype)


@lru_cache(maxsize=64)
def log_features(basis: SpectralBasis) -> Tensor:
    """−log S_k / β of each family with A = 1, along the dim `_family`; float64."""
    axes = basis.axis_wavenumbers
    isotropic = log_wavenumber(basis)
    if len(axes) == 1:
        return expand(isotropic, _FAMILY.with_size(1))
    with math.precision(64):
        parts = [0.5 * math.log(k**2 + (2 * np.pi / basis.size.vector[axis]) ** 2) for axis, k in axes.items()]
        product = sum(parts[1:], parts[0])
        return math.stack([expand(isotropic, basis.modes), expand(product, basis.modes)], _FAMILY)


def _evident(problem: SpectralProblem, noise: Tensor, rounding: Tensor) -> Tensor:
    """log |â_k|² / h_k² of modes far above the noise, which hold signal whatever the law; very little elsewhere."""
    recoverable = problem.log_gain - problem.log_unit > 0.5 * np.log(problem.rounding_unit)
    certain = (problem.power > math.maximum(EVIDENT * noise, rounding)) & recoverable
    amplitude = math.log(math.where(certain, problem.power, 1.0)) - 2 * problem.log_gain
    return math.where(certain, amplitude, math.log(noise) + NOTHING - 2 * problem.log_unit)


def _normalized(log_weights: Tensor, dims: str | tuple[str, ...]) -> Tensor:
    """Weights that sum to 1."""
    weights = math.exp(log_weights - math.max(log_weights, dims))
    return weights / math.sum(weights, dims)


class _Lattice:
    """
    A subset of the modes that is a product over axes.

    Attributes:
        counts: How many of all modes each picked one stands for, ±k taken together.
    """

    def __init__(self, basis: SpectralBasis) -> None:
        self._basis = basis
        members = {axis: _members(ranks) for axis, ranks in basis.ranks.items()}
        self._means = {axis: _matrix(axis, m / m.sum(1, keepdims=True)) for axis, m in members.items()}
        sums = {axis: _matrix(axis, m) for axis, m in members.items()}
        self.counts = self._contract(basis.multiplicity(), sums)

    def pick(self, per_mode: Tensor) -> Tensor:
        """The values at the subset, means over ±k."""
        return self._contract(per_mode, self._means)

    def _contract(self, per_mode: Tensor, matrices: dict[str, Tensor]) -> Tensor:
        result = expand(per_mode, self._basis.modes)
        for axis, matrix in reversed(matrices.items()):  # the last axis is next to each other in memory
            result = math.dot(result, axis, math.to_float(matrix), "_mode")
        return math.pack_dims(result, self._basis.modes.names, _PICKED)


def _alive(problem: SpectralProblem, lattice: _Lattice) -> Callable[[Tensor], Tensor]:
    """Leaves out modes of the subset with h_k < 1e-3 ε h_max, which hold nothing but noise in every batch entry."""
    log_gain = lattice.pick(problem.log_gain - problem.log_unit)
    if not log_gain.available:
        return lambda values: values
    largest = math.max(log_gain, log_gain.shape.without("_picked")).numpy("_picked")
    kept = np.flatnonzero(largest > np.log(1e-3 * problem.rounding_unit))
    return lambda values: values[{"_picked": math.wrap(kept, _PICKED)}]


@lru_cache(maxsize=64)
def _lattice(basis: SpectralBasis) -> _Lattice:
    with math.precision(64):
        return _Lattice(basis)


def _matrix(axis: str, values: np.ndarray) -> Tensor:
    return math.wrap(values.astype(np.float64), spatial(axis), channel("_mode"))


def _members(ranks: np.ndarray) -> np.ndarray:
    """Which modes of an axis have each of the picked |k|; shape (picked, modes)."""
    picked = [0]
    while (following := max(picked[-1] + 1, int(np.ceil(SPACING * picked[-1])))) <= ranks.max():
        picked.append(following)
    members: np.ndarray = np.asarray(picked)[:, None] == ranks[None]
    return members
