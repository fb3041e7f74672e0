"""How noisy an observation is, read off the observation itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from numbers import Real

import numpy as np
from phiml import math
from phiml.math import EMPTY_SHAPE, Tensor, channel, instance
from scipy import stats

from . import workers
from .checks import check_parameter
from .errors import ParameterError
from .spectral import SpectralBasis

_BLOCK, _PART = channel("_block"), channel("_part")
_FIRST_BLOCK, _GROWTH, _LARGEST_SAMPLE = 8.0, 1.3, 16384


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
class EmptyModes:
    """
    Measures white noise where the physics leaves no signal: in the modes of least gain,

        σ² = mean |â_k|² over the modes k of y* with h_k below some gain

    Modes are sorted by gain into growing blocks. From the block of least gain upwards they are counted as empty as long
    as the mean power of the next block does not exceed that of those before, by an F test: the plateau in the spectrum
    of y*. It is noise if it is wider than a factor of ten in h, as the power of signal would rise with h²; or if, being
    signal, it would mean that the power of x, |â_k|² / h_k², rises towards the modes of least gain. Where it is
    neither, σ is not known: every mode holds signal, the inverse is well-posed, and y* is taken at its word, σ being
    that of rounding.

    Args:
        pooled: Whether all batch entries, of all workers, have the same noise, and share one estimate. Else each has
            its own.
        significance: Probability with which the test takes noise for signal, per block.

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
        picked, weights = _blocks(log_gain, basis)
        if weights.shape.get_size("_block") < 2:
            unknown = math.sum(power, basis.modes.names) * 0
            return NoiseEstimate(unknown, unknown + float("inf"), unknown > 0)
        counts = math.sum(weights, "_mode")
        sums, log_gains = (self._sums(values, picked, weights, basis) for values in (power, log_gain))
        entries = (sums.shape & log_gains.shape).batch if self.pooled else EMPTY_SHAPE
        observations = entries.volume * (workers.count() if self.pooled else 1)
        ratio = math.to_float(_largest_ratio(self.significance, tuple(counts.numpy(_BLOCK) * observations)))
        if self.pooled:
            ratio = workers.largest(math.convert(ratio, sums.default_backend))
            parts = [math.sum(math.expand(values, entries), entries) for values in (sums, log_gains, counts)]
            sums, log_gains, counts = math.unstack(workers.total(math.stack(parts, _PART)), _PART)
        return self._plateau(sums, counts, log_gains / counts, ratio)

    @staticmethod
    def _sums(per_mode: Tensor, picked: np.ndarray, weights: Tensor, basis: SpectralBasis) -> Tensor:
        flat = math.pack_dims(math.expand(per_mode, basis.modes), basis.modes.names, instance("_mode"))
        if len(picked) < basis.modes.volume:
            flat = flat[{"_mode": math.wrap(picked, instance("_mode"))}]
        return math.dot(flat, "_mode", weights, "_mode")

    @staticmethod
    def _plateau(sums: Tensor, counts: Tensor, gains: Tensor, ratio: Tensor) -> NoiseEstimate:
        """
        Args:
            sums: Σ |â|² per block, of growing gain.
            counts: Number of modes per block.
            gains: Mean log h per block.
            ratio: That of the mean power of a block to that of all before it, above which it holds signal.
        """
        total_power, total = (math.cumulative_sum(v, _BLOCK) for v in (sums, counts))
        before, following = {"_block": slice(0, -1)}, {"_block": slice(1, None)}
        rises = math.to_float(sums[following] / counts[following] > ratio * total_power[before] / total[before])
        empty = math.to_float(math.cumulative_sum(rises, _BLOCK) == 0)
        first = {"_block": 0}
        modes = counts[first] + math.sum(empty * counts[following], _BLOCK)
        mean = (sums[first] + math.sum(empty * sums[following], _BLOCK)) / modes
        wide = math.max(empty * (gains[following] - gains[first]), _BLOCK) >= float(np.log(10))
        next_above = rises * math.to_float(math.cumulative_sum(rises, _BLOCK) == 1)
        log_power = math.log(_positive(sums / counts)) - 2 * gains
        rising = log_power[first] > math.sum(next_above * log_power[following], _BLOCK) + float(np.log(6))
        known = wide | rising | (math.sum(next_above, _BLOCK) == 0)
        return NoiseEstimate(
            math.where(known, math.sqrt(mean), 0.0),
            math.where(known, 1 / math.sqrt(2 * modes), float("inf")),
            known,
        )


@lru_cache(maxsize=64)
def _largest_ratio(significance: float, counts: tuple[float, ...]) -> Tensor:
    """Ratio of the mean power of each block to that of all before it that chance exceeds with this probability."""
    return math.wrap(stats.f.isf(significance, counts[1:], np.cumsum(counts)[:-1]), _BLOCK)


def _positive(power: Tensor) -> Tensor:
    return math.maximum(power, float(np.finfo(f"float{power.dtype.precision}").tiny))


def _blocks(log_gain: Tensor, basis: SpectralBasis) -> tuple[np.ndarray, Tensor]:
    """Indices of the modes in use, and their weight in each block; blocks in the order of the mean gain."""
    gain = math.mean(log_gain, log_gain.shape.without(basis.modes)).numpy(basis.modes).ravel()
    picked, members = _sorted_blocks(basis, gain.astype(np.float64).tobytes())
    return picked, math.to_float(members)


@lru_cache(maxsize=64)
def _sorted_blocks(basis: SpectralBasis, log_gain: bytes) -> tuple[np.ndarray, Tensor]:
    gain = np.frombuffer(log_gain)
    multiplicity = math.expand(basis.multiplicity(), basis.modes).numpy(basis.modes).ravel()
    order = np.argsort(gain, kind="stable")
    order = order[gain[order] < gain.max()]  # the constant, or what decays least, is signal
    order = order[:: max(1, len(order) // _LARGEST_SAMPLE)]
    ends = _FIRST_BLOCK * np.cumsum(_GROWTH ** np.arange(100))
    block = np.searchsorted(ends, np.cumsum(multiplicity[order]) - 1, side="right")
    members = (block[:, None] == np.arange(block.max(initial=-1) + 1)) * multiplicity[order][:, None]
    if len(order) < gain.size // 2:
        return order, math.wrap(members, instance("_mode"), _BLOCK)
    everywhere = np.zeros((gain.size, members.shape[1]))  # zeros cost less than picking
    everywhere[order] = members
    return np.arange(gain.size), math.wrap(everywhere, instance("_mode"), _BLOCK)


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
