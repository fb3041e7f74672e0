"""How noisy an observation is, read off the observation itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import NamedTuple

import numpy as np
from phiml import math
from phiml.math import EMPTY_SHAPE, Shape, Tensor, channel, instance
from scipy import stats

from ..contract.noise import NoiseMeasurement
from ..errors import ParameterError
from ..spectral import SpectralBasis
from ..states import workers
from ..states.checks import check_parameter

_BLOCK, _PART = channel("_block"), channel("_part")
_FIRST_BLOCK, _GROWTH, _LARGEST_SAMPLE = 8.0, 1.3, 16384
_FEWEST, _FEW = 2.0, 32.0  # modes that a block needs, and among which it may end early
_LARGEST_RISE = 10.0  # of the power of x towards the modes of least gain
_UNEVEN = 2.0  # factor by which noise may differ between blocks of modes and still count as white
_FIRST = {"_block": 0}


@dataclass(frozen=True)
class NoiseEstimate:
    """
    What is known about white observation noise.

    Attributes:
        std: Standard deviation σ per cell; 0 where it is not known.
        relative_error: Standard error of `std` as a fraction of it, 1 / √(2 · empty modes); infinite where not known.
        known: Whether there were empty modes to measure it in.
    """

    std: Tensor
    relative_error: Tensor
    known: Tensor


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

    Else σ is not known, and y* is taken at its word, σ being that of rounding. Where the physics hardly damps, that is
    right, as the inverse amplifies nothing; what lies between loses some accuracy, see `docs/noise.md`.

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
        Args:
            power: |â_k|² of y* per mode; other dims are kept, but batch dims if `pooled`.
            log_gain: log h_k.
            basis: The modes.
        """
        blocks = _blocks(log_gain, basis)
        if blocks.number < 2:
            unknown = math.sum(power, basis.modes.names) * 0
            return NoiseEstimate(unknown, unknown + float("inf"), unknown > 0)
        power = blocks.modes_of(power)
        state_power = power * blocks.state_power  # |â_k|² / h_k² in units of 1 / h_b²
        counts, lowest = math.sum(blocks.members, "_mode"), blocks.lowest_log_gain
        sums, state_sums, first_logs = blocks.sums(power), blocks.sums(state_power), blocks.first_logs(state_power)
        entries = (power.shape & lowest.shape).batch if self.pooled else EMPTY_SHAPE
        observations = entries.volume * (workers.count() if self.pooled else 1)
        ratios = math.to_float(_largest_ratios(self.significance, tuple(counts.numpy(_BLOCK) * observations)))
        if self.pooled:
            ratios = workers.largest(math.convert(ratios, power.default_backend))
            common = -workers.largest(math.convert(math.max(-lowest, entries), power.default_backend))
            state_sums = state_sums * math.exp(2 * (common - lowest))
            first_logs = first_logs + (2 * (common - lowest) * counts)[_FIRST]
            sums, state_sums, counts = _pooled(entries, sums, state_sums, counts)
            (first_logs,) = _pooled(entries, first_logs)
            lowest = common
        log_state_power = math.log(_positive(state_sums / counts)) - 2 * lowest
        log_first = first_logs / counts[_FIRST] - 2 * lowest[_FIRST]
        return self._plateau(sums, counts, lowest, log_first - log_state_power, ratios)

    @staticmethod
    def _plateau(sums: Tensor, counts: Tensor, log_gain: Tensor, rise: Tensor, ratios: Tensor) -> NoiseEstimate:
        """
        Args:
            sums: Σ |â|² per block, of growing gain.
            counts: Number of modes per block.
            log_gain: log of the lowest h per block.
            rise: Mean of log |â|² / h² in the first block, less the log of the mean of |â|² / h² in each block.
            ratios: See `_largest_ratios`.
        """
        above_before, below_before, below_first = math.unstack(ratios, _PART)
        total_power, total = (math.cumulative_sum(v, _BLOCK) for v in (sums, counts))
        before, following = {"_block": slice(0, -1)}, {"_block": slice(1, None)}
        power = sums[following] / counts[following]
        mean_before = total_power[before] / total[before]
        rises = math.to_float(power > above_before * mean_before)
        steps = math.cumulative_sum(rises, _BLOCK)
        empty = math.to_float(steps == 0)
        modes = counts[_FIRST] + math.sum(empty * counts[following], _BLOCK)
        mean = (sums[_FIRST] + math.sum(empty * sums[following], _BLOCK)) / modes
        compared = math.to_float((steps == 0) | ((steps == 1) & (rises > 0)))  # the plateau, and the block above it
        wide = 2 * (log_gain[following] - log_gain[_FIRST]) > float(np.log(_LARGEST_RISE))
        too_steep = wide & (rise[following] > math.log(math.maximum(below_first, _LARGEST_RISE)))
        is_signal = math.sum(compared * math.to_float(too_steep), _BLOCK) == 0
        falls = empty * math.to_float(mean_before > _UNEVEN * below_before * power)
        fills_all = math.sum(falls + math.to_float(mean > _UNEVEN * below_first * power), _BLOCK) == 0
        known = fills_all & ~is_signal
        return NoiseEstimate(
            math.where(known, math.sqrt(mean), 0.0),
            math.where(known, 1 / math.sqrt(2 * modes), float("inf")),
            known,
        )


@lru_cache(maxsize=64)
def _largest_ratios(significance: float, counts: tuple[float, ...]) -> Tensor:
    """
    Ratios that chance exceeds with this probability where all modes have the same power, for all blocks but the first:
    of the mean power of the block to that of all before it, the inverse of that, and of the first block to the block.
    """
    block, before = counts[1:], np.cumsum(counts)[:-1]
    pairs = (block, before), (before, block), (counts[0], block)
    return math.wrap(np.stack([stats.f.isf(significance, *pair) for pair in pairs]), _PART, _BLOCK)


def _pooled(entries: Shape, *values: Tensor) -> Sequence[Tensor]:
    """Sums over these dims and all workers, in one reduction."""
    parts = [math.sum(math.expand(part, entries), entries) for part in values]
    return math.unstack(workers.total(math.stack(parts, _PART)), _PART)  # type: ignore[no-any-return]


def _numbers(multiplicity: np.ndarray, log_gain: np.ndarray) -> np.ndarray:
    """
    The block of each mode: each block has 1.3 times as many modes as the one before. Among the first few modes, one of
    at least two also ends where the gain has risen tenfold, as its modes would have too little in common.
    """
    numbers, number, size, inside, total = [], 0, _FIRST_BLOCK, 0.0, 0.0
    lowest = log_gain[:1]
    for modes, gain in zip(multiplicity, log_gain, strict=True):
        is_full = inside >= size
        if is_full or (inside >= _FEWEST and total < _FEW and gain > lowest + np.log(10)):
            number, inside, lowest = number + 1, 0.0, gain
            size *= _GROWTH if is_full else 1
        numbers.append(number)
        inside, total = inside + modes, total + modes
    return np.array(numbers, int)


def _positive(power: Tensor) -> Tensor:
    return math.maximum(power, float(np.finfo(f"float{power.dtype.precision}").tiny))


@dataclass(frozen=True, eq=False)
class _Blocks:
    """
    Modes in blocks of growing gain.

    Attributes:
        modes: All modes of the basis.
        picked: Indices of the modes in use, without the constant, or what decays least: that is signal.
        members: Multiplicity of each of them in its block, 0 in other blocks; along `_mode` and `_block`.
        lowest_log_gain: log of the lowest gain h_b in each block; with the dims that gains have besides modes.
        state_power: h_b² / h_k² of each mode in use: the power of x, in units of that which h_b would need; ≤ 1.
    """

    modes: Shape
    picked: np.ndarray
    members: Tensor
    lowest_log_gain: Tensor
    state_power: Tensor

    @property
    def number(self) -> int:
        """How many blocks there are."""
        return int(self.members.shape.get_size("_block"))

    def modes_of(self, per_mode: Tensor) -> Tensor:
        """The values of the modes in use, along `_mode`."""
        flat = math.pack_dims(math.expand(per_mode, self.modes), self.modes.names, instance("_mode"))
        if len(self.picked) < self.modes.volume:
            flat = flat[{"_mode": math.wrap(self.picked, instance("_mode"))}]
        return flat

    def sums(self, values: Tensor) -> Tensor:
        """Sums per block."""
        return math.dot(values, "_mode", self.members, "_mode")

    def first_logs(self, values: Tensor) -> Tensor:
        """Σ log of the values of the first block."""
        first = self.members[_FIRST]
        inside = {"_mode": math.wrap(np.flatnonzero(first.numpy("_mode")), instance("_mode"))}
        return math.dot(math.log(_positive(values[inside])), "_mode", first[inside], "_mode")


def _blocks(log_gain: Tensor, basis: SpectralBasis) -> _Blocks:
    """The blocks, in the order of the mean gain of all entries."""
    entries = log_gain.shape.without(basis.modes)
    gains = math.expand(log_gain, basis.modes).numpy([*entries.names, *basis.modes.names])
    gains = gains.reshape(-1, basis.modes.volume).astype(np.float64)
    sorted_modes = _sorted_modes(basis, gains.mean(0).tobytes())
    order, block = sorted_modes.order, sorted_modes.block
    lowest = np.minimum.reduceat(gains[:, order], np.flatnonzero(np.diff(block, prepend=-1)), 1)
    state_power = np.ones((len(gains), len(sorted_modes.picked)))
    state_power[:, sorted_modes.place] = np.exp(2 * (lowest[:, block] - gains[:, order]))
    return _Blocks(
        basis.modes,
        sorted_modes.picked,
        math.to_float(sorted_modes.members),
        math.to_float(math.reshaped_tensor(lowest, [entries, _BLOCK], convert=False)),
        math.to_float(math.reshaped_tensor(state_power, [entries, instance("_mode")], convert=False)),
    )


class _SortedModes(NamedTuple):
    """
    Attributes:
        order: Indices of the modes but the constant, of growing gain.
        block: Which block each of them is in.
        picked: Indices of the modes in use: these, or all, most of them with weight 0, which costs less than picking.
        place: Where each of the ordered modes is among those.
        members: See `_Blocks`.
    """

    order: np.ndarray
    block: np.ndarray
    picked: np.ndarray
    place: np.ndarray
    members: Tensor


@lru_cache(maxsize=8)
def _sorted_modes(basis: SpectralBasis, log_gain: bytes) -> _SortedModes:
    gain = np.frombuffer(log_gain)
    multiplicity = math.expand(basis.multiplicity(), basis.modes).numpy(basis.modes).ravel()
    order = np.argsort(gain, kind="stable")
    order = order[gain[order] < gain.max()]
    order = order[:: max(1, len(order) // _LARGEST_SAMPLE)]
    block = _numbers(multiplicity[order], gain[order])
    is_part = len(order) < gain.size // 2
    picked, place = (order, np.arange(len(order))) if is_part else (np.arange(gain.size), order)
    members = np.zeros((len(picked), block.max(initial=-1) + 1))
    members[place, block] = multiplicity[order]
    return _SortedModes(order, block, picked, place, math.wrap(members, instance("_mode"), _BLOCK))


def resolve_noise(owner: str, noise_std: float | Tensor | EmptyModes | str) -> float | Tensor | EmptyModes:
    """
    What a physics takes as `noise_std`: a number or tensor after a check, or how to measure it.

    Raises:
        ParameterError: if it is another word than `"auto"`, negative, not finite, or has other dims than batch dims.
    """
    if isinstance(noise_std, EmptyModes):
        return noise_std
    if isinstance(noise_std, str):
        if noise_std != "auto":
            raise ParameterError(
                f"{owner}: noise_std = '{noise_std}'. Give a number, a tensor with batch dims, EmptyModes(...), or "
                f"'auto' to measure the noise in each observation."
            )
        return EmptyModes()
    check_parameter(owner, "noise_std", noise_std)
    return noise_std
