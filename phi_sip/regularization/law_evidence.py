"""What the modes of an observation say about power laws: their marginal likelihood."""

from __future__ import annotations

from phiml import math
from phiml.math import Tensor, channel

from ..states import order, workers
from .base import SpectralProblem
from .lattice import PICKED, alive_in, lattice_of
from .power_laws import Laws, features_in

SCORING = 4  # steps towards the best amplitude of a law: estimates are within 5e-4 of those of 30 steps
LONGEST_STEP = 3.0  # of log A
PRIOR = 0.1  # 1 / variance of log A before anything is observed
_PART = channel("_part")


class LawEvidence:
    """
    What the picked modes of an observation say about laws; shared ones are summed over batch entries and workers.

    Args:
        problem: Observation; σ as `noise_power`.
        pooled: Whether all batch entries, of all workers, share one law.

    Attributes:
        power: Σ_k |â_k|² of the picked modes that are not the constant, in units of the noise.
    """

    def __init__(self, problem: SpectralProblem, pooled: bool) -> None:
        lattice = lattice_of(problem.basis)
        alive = alive_in(problem, lattice)

        def pick(per_mode: Tensor) -> Tensor:
            return alive(lattice.pick(per_mode))

        noise = problem.noise_power
        self._log_noise = math.log(noise)
        self._varies = pick(problem.is_constant) == 0
        self._counts = alive(math.to_float(lattice.counts)) * math.to_float(self._varies)
        self._observed = pick(problem.power) * self._counts / noise
        self._weights = math.stack([self._counts, self._observed], _PART, expand_values=True)
        self._log_gain = 2 * pick(problem.log_gain)
        self._features = pick(features_in(problem))
        self._entries = (problem.target.shape & noise.shape & problem.log_gain.shape).batch
        self._pooled = pooled
        self.power = math.sum(self._observed, PICKED)

    def laws(self, exponent: Tensor) -> Laws:
        """
        Computes the best law for each β, by Fisher scoring of its evidence

            ½ Σ m q (|â|² / v − 1) / ½ Σ m q²,   q = 1 − 1/v,   v = S h² + 1 in units of the noise

        Args:
            exponent: β, along `_exponent`.
        """
        log_shape = self._log_gain - exponent * self._features
        least = math.min(log_shape, PICKED)
        peak = math.max(order.where(self._varies, log_shape, least), PICKED)
        shape = math.exp(math.minimum(log_shape - peak, 0.0))  # so that no unit of length or of y overflows
        log_amplitude = self._start(peak, shape)
        for _ in range(SCORING):
            inverse = self._inverse_variance(log_amplitude, peak, shape)
            gradient, information = self._slope(inverse)
            log_amplitude = log_amplitude + math.clip(gradient / information, -LONGEST_STEP, LONGEST_STEP)
        inverse = self._inverse_variance(log_amplitude, peak, shape)
        return Laws(exponent, log_amplitude, 1 / self._slope(inverse)[1], self._evidence(inverse))

    def evidence_of_nothing(self) -> Tensor:
        """Computes the log evidence for no signal at all."""
        return self._over_entries(-0.5 * self.power)[0]

    def _start(self, peak: Tensor, shape: Tensor) -> Tensor:
        """Computes the log A that explains the power above the noise, or a trace of it."""
        highest = self._highest(peak - self._log_noise)
        explained = math.dot(shape, "_picked", self._counts, "_picked") * math.exp(peak - self._log_noise - highest)
        total = math.sum(self._counts, PICKED)
        per_amplitude, power, modes = self._over_entries(explained, self.power, total)
        signal = math.maximum(power - modes, 1e-3 * modes)
        signal, per_amplitude = (order.where(modes > 0, values, 1.0) for values in (signal, per_amplitude))
        return math.log(signal / per_amplitude) - highest

    def _inverse_variance(self, log_amplitude: Tensor, peak: Tensor, shape: Tensor) -> Tensor:
        """Computes 1 / v."""
        return 1 / (1 + math.exp(log_amplitude + peak - self._log_noise) * shape)

    def _slope(self, inverse: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the derivative of the evidence by log A, and its expected curvature; q = 1 − 1/v."""
        once, twice = (math.dot(values, "_picked", self._weights, "_picked") for values in (inverse, inverse * inverse))
        left, explained = math.unstack(once - twice, _PART)  # Σ m q / v, Σ m |â|² q / v
        rises = math.sum(self._counts, PICKED) - once[{"_part": 0}]
        gradient, information = self._over_entries(explained - rises, rises - left)
        return 0.5 * gradient, 0.5 * information + PRIOR

    def _evidence(self, inverse: Tensor) -> Tensor:
        """Computes −½ Σ m [log v + |â|² / v]."""
        logs = math.dot(math.log(inverse), "_picked", self._counts, "_picked")
        return self._over_entries(0.5 * (logs - math.dot(inverse, "_picked", self._observed, "_picked")))[0]

    def _over_entries(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Computes the sums over what shares a law, in one reduction."""
        if not self._pooled:
            return values
        sums = math.stack(
            [math.sum(math.expand(v, self._entries), self._entries) for v in values], _PART, expand_values=True
        )
        return tuple(math.unstack(workers.total(sums), _PART))

    def _highest(self, values: Tensor) -> Tensor:
        """Computes the largest of what shares a law."""
        return workers.largest(math.max(values, self._entries)) if self._pooled else values
