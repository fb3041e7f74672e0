"""How noisy an observation is, read off the observation itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from phiml import math
from phiml.math import EMPTY_SHAPE, Shape, Tensor

from ..contract.noise import NoiseMeasurement
from ..errors import ParameterError
from ..spectral import SpectralBasis
from ..states import order, workers
from .mode_blocks import BLOCK, mode_blocks, positive
from .plateau import PART, NoiseEstimate, largest_ratios, plateau

ENOUGH = 32.0  # modes whose mean power chance hardly changes
MANY = 4  # so many times as many modes overrule a plateau of fewer
PART_OF_ALL = 8  # they are at most an eighth of all: in more of them there may be signal


@dataclass(frozen=True)
class EmptyModes(NoiseMeasurement):
    """
    Measures white noise where the physics leaves no signal: in the modes of least gain,

        σ² = mean |â_k|² over the modes k of y* with h_k below some gain

    Modes are sorted by gain into growing blocks. From the block of least gain upwards they are counted as empty as long
    as the mean power of the next block does not exceed that of those before, by an F test. σ is known if this plateau
    cannot be signal and can be white noise:

    - As signal it would have the power |â_k|² / h_k² in x. The geometric mean of that over the block of least gain must
      be more than ten times the mean over some other block of the plateau, or the block above it, and more than chance
      explains, by an F test; and so must be what makes it rise, 1 / h². So where h ranges over less than a factor of
      three, no noise is ever found; elsewhere noise is found where there is none with no more than the probability
      `significance` per block, if the power of x does not rise towards the modes of least gain. Single strong modes do
      not count, as the mean is a geometric one.
    - White noise fills all modes: no block holds less than half of it, by an F test.

    A few modes that have little power by chance would end the plateau. So the first blocks are joined to one of 32
    modes, or an eighth of all if that is less, and tested again. What this finds counts where the first plateau is not
    known, or has fewer modes than that and this one at least four times as many. Else σ is not known, and y* is taken
    at its word, σ being that of rounding.
    Where the physics hardly damps, that is right, as the inverse amplifies nothing; what lies between loses some
    accuracy, see `docs/noise.md`.

    Args:
        pooled: Whether all batch entries, of all workers, have the same noise, and share one estimate. Else each has
            its own.
        significance: Probability with which a test takes noise for signal, or signal for noise, per block.

    Raises:
        ParameterError: if an argument is out of range.

    Source: a plateau test of the kind used to choose the discretization level from the Picard plot: Hansen, "Discrete
    Inverse Problems", SIAM 2010, section 3.3.
    """

    pooled: bool = False
    significance: float = 1e-4

    def __post_init__(self) -> None:
        if not isinstance(self.pooled, bool):
            raise ParameterError(f"EmptyModes: pooled = {self.pooled!r}, but it must be True or False.")
        if not (isinstance(self.significance, Real) and 0 < self.significance < 1):
            raise ParameterError(f"EmptyModes: significance = {self.significance!r}, but it must be between 0 and 1.")

    def estimate(self, power: Tensor, log_gain: Tensor, basis: SpectralBasis) -> NoiseEstimate:
        """
        Measures σ.

        Args:
            power: |â_k|² of y* per mode; other dims are kept, but batch dims if `pooled`.
            log_gain: log h_k.
            basis: The modes.

        Returns:
            σ, with the batch dims of `power` unless `pooled`; not known where no mode is empty.
        """
        blocks = mode_blocks(log_gain, basis)
        if blocks.number < 2:
            unknown = math.sum(power, basis.modes.names) * 0
            return NoiseEstimate(unknown, unknown + float("inf"), unknown > 0)
        power = blocks.modes_of(power)
        state_power = power * blocks.state_power  # |â_k|² / h_k² in units of 1 / h_b²
        counts, lowest = math.sum(blocks.members, "_mode"), blocks.lowest_log_gain
        enough = min(ENOUGH, counts.numpy(BLOCK).sum() / PART_OF_ALL)
        number = _joined(counts.numpy(BLOCK), enough)
        first = {"_block": slice(0, number)}
        sums, state_sums = blocks.sums(power), blocks.sums(state_power)
        logs = blocks.first_logs(state_power, number)
        entries = (power.shape & lowest.shape).batch if self.pooled else EMPTY_SHAPE
        observations = entries.volume * (workers.count() if self.pooled else 1)
        all_counts = counts.numpy(BLOCK) * observations
        if self.pooled:
            common = -workers.largest(math.convert(math.max(-lowest, entries), power.default_backend))
            state_sums = state_sums * math.exp(2 * (common - lowest))
            logs = logs + (2 * (common - lowest) * counts)[first]
            sums, state_sums, counts = _pooled(entries, sums, state_sums, counts)
            (logs,) = _pooled(entries, logs)
            lowest = common
        log_state_power = math.log(positive(state_sums / counts)) - 2 * lowest
        logs = logs - 2 * (lowest * counts)[first]

        def found(joined: int) -> NoiseEstimate:
            """Returns the noise, the first blocks being one."""
            ratios = math.to_float(largest_ratios(self.significance, _with_first(all_counts, joined)))
            if self.pooled:
                ratios = workers.largest(math.convert(ratios, power.default_backend))
            part = {"_block": slice(0, joined)}
            modes = math.sum(counts[part], BLOCK)
            rise = math.sum(logs[part], BLOCK) / modes - log_state_power[{"_block": slice(joined - 1, None)}]
            gains = math.concat([lowest[{"_block": slice(0, 1)}], lowest[{"_block": slice(joined, None)}]], BLOCK)
            return plateau(_first_joined(sums, joined), _first_joined(counts, joined), gains, rise, ratios)

        estimate = found(1)
        if number == 1:
            return estimate
        again = found(number)
        is_sure = estimate.known & ~(estimate.rests_on_fewer(enough) & ~again.rests_on_fewer(MANY * enough))
        return NoiseEstimate(*(order.where(is_sure, *pair) for pair in zip(estimate.values, again.values, strict=True)))


def _joined(counts: np.ndarray, enough: float) -> int:
    """Returns how many of the first blocks hold enough modes together."""
    return min(len(counts), int(np.searchsorted(np.cumsum(counts), enough)) + 1)


def _with_first(counts: np.ndarray, joined: int) -> tuple[float, ...]:
    """Returns the numbers of modes of all blocks, the first ones being one."""
    return (float(counts[:joined].sum()), *counts[joined:].tolist())


def _first_joined(values: Tensor, joined: int) -> Tensor:
    """Returns sums over blocks, the first ones being one."""
    first = math.sum(values[{"_block": slice(0, joined)}], BLOCK)
    return math.concat([math.expand(first, BLOCK.with_size(1)), values[{"_block": slice(joined, None)}]], BLOCK)


def _pooled(entries: Shape, *values: Tensor) -> Sequence[Tensor]:
    """Computes the sums over these dims and all workers, in one reduction."""
    parts = [math.sum(math.expand(part, entries), entries) for part in values]
    return math.unstack(workers.total(math.stack(parts, PART)), PART)  # type: ignore[no-any-return]
