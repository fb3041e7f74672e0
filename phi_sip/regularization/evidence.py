"""Power-law spectra fitted to observations by their marginal likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from phiml import math
from phiml.math import EMPTY_SHAPE, Tensor, channel, expand, instance, spatial

from ..spectral import SpectralBasis
from .base import SpectralProblem, power
from .spectra import SpectrumEstimate, log_wavenumber

EXPONENTS = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.5, 9.0])
OCTAVES = np.arange(-6.0, 6.1, 1.0)
SPACING = 1.25
REFINEMENTS = (0.3, 0.075)  # of the grid around the best law, of a fraction of β
SIGNIFICANT = 10.0  # log of the evidence for any signal at all over that for none
EVIDENT = 50.0  # |â_k|² / σ², which noise alone exceeds once in 1e12 modes
NOTHING = -80.0  # log (S_k h_max² / σ²) where there is none
_PICKED = instance("_picked")
_FAMILY, _EXPONENT, _OCTAVE = channel("_family"), channel("_exponent"), channel("_octave")
_FIT = ("_family", "_exponent", "_octave")


def fit_power_law(problem: SpectralProblem, *, pooled: bool) -> SpectrumEstimate:
    """
    S_k, averaged over power laws with their evidence as weight, see `EmpiricalBayes`.

    The evidence is that of a subset of the modes: all of the longest, then every one whose index is 1.25 times that of
    the one before, so that it costs the same on any grid; without those whose gain is far below rounding. Where the
    modes but the constant hold nothing but noise, as after a very long time, S_k is 0: an amplitude fitted to noise
    would be amplified without bound.

    Args:
        problem: Observation; σ as `noise_power`.
        pooled: Whether all batch entries share one law. Many observations know it so well that the grid of laws is
            refined around the best.
    """
    noise = problem.noise_power()
    observation = _Observation(problem, pooled)
    laws = observation.laws(math.wrap(EXPONENTS, _EXPONENT), math.wrap(OCTAVES, _OCTAVE))
    for width in REFINEMENTS if pooled else ():
        laws = observation.laws(*laws.around_mean(width))
    weights = _normalized(laws.evidence, _FIT)
    mean_log_amplitude = math.sum(weights * laws.log_amplitude, _FIT)
    mean_exponent = math.sum(weights * laws.exponent, ("_exponent", "_octave"))
    rounding = problem.rounding_unit**2 * problem.basis.sum(power(problem.target))  # not white: maybe all in one mode
    seen = (math.max(laws.evidence, _FIT) - observation.evidence_of_nothing() > SIGNIFICANT) & (
        observation.power * noise > rounding
    )
    evident = _evident(problem, noise, rounding)
    nothing = math.log(noise) + NOTHING - 2 * problem.log_unit
    all_features = math.to_float(log_features(problem.basis))

    def or_nothing(fitted: Tensor) -> Tensor:
        return math.maximum(math.where(seen, fitted, nothing), evident)

    def log_mean() -> Tensor:
        amplitudes = math.sum(weights * math.exp(laws.log_amplitude - mean_log_amplitude), "_octave")
        parts = [
            math.sum(
                amplitudes[{"_exponent": i}] * math.exp(-laws.exponent[{"_exponent": i}] * all_features), "_family"
            )
            for i in range(laws.exponent.shape.get_size("_exponent"))
        ]
        return or_nothing(mean_log_amplitude + math.log(sum(parts[1:], parts[0])))

    mean_log = mean_log_amplitude - math.sum(mean_exponent * all_features, "_family")
    return SpectrumEstimate(or_nothing(mean_log), log_mean)


@dataclass(frozen=True)
class _Laws:
    """
    Laws S_k = A exp(−β f_k) and their evidence.

    Attributes:
        exponent: β, along `_exponent`.
        octave: log₂ of A, from where the law holds as much power as was observed, along `_octave`.
        log_amplitude: log A.
        evidence: Log of the marginal likelihood of each law.
    """

    exponent: Tensor
    octave: Tensor
    log_amplitude: Tensor
    evidence: Tensor

    def around_mean(self, width: float) -> tuple[Tensor, Tensor]:
        """β within this fraction of the mean law of each family, and A within as many times 3.3 octaves."""
        steps = np.linspace(-width, width, 9)
        weights = _normalized(self.evidence, ("_exponent", "_octave"))
        exponent, octave = (
            math.sum(weights * values, ("_exponent", "_octave")) for values in (self.exponent, self.octave)
        )
        return exponent * (1 + math.wrap(steps, _EXPONENT)), octave + math.wrap(steps / REFINEMENTS[0], _OCTAVE)


class _Observation:
    """
    What the picked modes of an observation say about laws.

    Attributes:
        power: Σ_k |â_k|² of the picked modes that are not the constant, in units of the noise.
    """

    def __init__(self, problem: SpectralProblem, pooled: bool) -> None:
        lattice = _lattice(problem.basis)
        alive = _alive(problem, lattice)

        def pick(per_mode: Tensor) -> Tensor:
            return alive(lattice.pick(per_mode))

        noise = problem.noise_power()
        self._observed = pick(power(problem.target)) / noise
        self._varies = pick(problem.is_constant) == 0
        self._counts = alive(math.to_float(lattice.counts)) * math.to_float(self._varies)
        self._log_gain = 2 * pick(problem.log_gain) - math.log(noise)
        self._features = pick(math.to_float(log_features(problem.basis)))
        self._shared = (problem.target.shape & noise.shape & problem.log_gain.shape).batch if pooled else EMPTY_SHAPE
        self.power = math.sum(self._observed * self._counts, _PICKED)

    def laws(self, exponent: Tensor, octave: Tensor) -> _Laws:
        """The evidence of all laws with these β and A."""
        log_shape = self._log_gain - exponent * self._features
        least = math.min(log_shape, _PICKED)
        peak = math.max(math.where(self._varies, log_shape, least), (_PICKED, self._shared))
        shape = math.exp(math.minimum(log_shape - peak, 0.0))  # so that no unit of length or of y overflows
        log_scale = math.log(self._scale(shape))
        log_amplitude = log_scale + octave * np.log(2)
        evidence = self._log_evidence(math.exp(log_amplitude) * shape)
        return _Laws(exponent, octave, log_amplitude - peak, evidence)

    def evidence_of_nothing(self) -> Tensor:
        return self._log_evidence(math.wrap(0.0))

    def _scale(self, shape: Tensor) -> Tensor:
        """A that explains the power above the noise, or a trace of it."""
        total = math.sum(self._counts, _PICKED)
        signal = math.mean(math.sum((self._observed - 1) * self._counts, _PICKED), self._shared)
        per_amplitude = math.mean(math.sum(shape * self._counts, _PICKED), self._shared)
        return math.where(total > 0, math.maximum(signal, 1e-3 * total) / per_amplitude, 1.0)

    def _log_evidence(self, signal: Tensor) -> Tensor:
        """−½ Σ m [log v + |â|² / v], v = 1 + signal, in units of the noise."""
        variance = signal + 1
        logs = math.dot(math.log(variance), "_picked", self._counts, "_picked")
        explained = math.dot(1 / variance, "_picked", self._observed * self._counts, "_picked")
        return math.sum(-0.5 * (logs + explained), self._shared)


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
    observed = power(problem.target)
    certain = (observed > EVIDENT * noise) & (observed > rounding)
    recoverable = problem.log_gain - problem.log_unit > 0.5 * np.log(problem.rounding_unit)
    amplitude = math.log(math.where(certain, observed, 1.0)) - 2 * problem.log_gain
    return math.where(certain & recoverable, amplitude, math.log(noise) + NOTHING - 2 * problem.log_unit)


def _normalized(log_weights: Tensor, dims: tuple[str, ...]) -> Tensor:
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
        for axis, matrix in matrices.items():
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
