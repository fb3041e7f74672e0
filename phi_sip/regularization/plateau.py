"""The noise estimate, and the test by which blocks of modes count as empty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from phiml import math
from phiml.math import Tensor, channel
from scipy import stats

from ..states import order
from .mode_blocks import BLOCK, FIRST

PART = channel("_part")
_LARGEST_RISE = 10.0  # of the power of x towards the modes of least gain
_UNEVEN = 2.0  # factor by which noise may differ between blocks of modes and still count as white


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

    @property
    def values(self) -> tuple[Tensor, Tensor, Tensor]:
        """All of it."""
        return self.std, self.relative_error, self.known

    def rests_on_fewer(self, modes: float) -> Tensor:
        """Tells where it was measured in fewer modes than that, or is not known."""
        return self.relative_error > 1.0001 / float(np.sqrt(2 * modes))


@lru_cache(maxsize=64)
def largest_ratios(significance: float, counts: tuple[float, ...]) -> Tensor:
    """
    Computes the ratios that chance exceeds with this probability where all modes have the same power.

    For all blocks but the first, these are the ratio of the mean power of the block to that of all before it, the
    inverse of that, and the ratio of the first block to the block; along `_part`.

    Args:
        significance: The probability.
        counts: Number of modes of each block.
    """
    block, before = counts[1:], np.cumsum(counts)[:-1]
    pairs = (block, before), (before, block), (counts[0], block)
    return math.wrap(np.stack([stats.f.isf(significance, *pair) for pair in pairs]), PART, BLOCK)


def plateau(sums: Tensor, counts: Tensor, log_gain: Tensor, rise: Tensor, ratios: Tensor) -> NoiseEstimate:
    """
    Finds the blocks that hold nothing but white noise, see `EmptyModes`.

    Args:
        sums: Σ |â|² per block, of growing gain.
        counts: Number of modes per block.
        log_gain: log of the lowest h per block.
        rise: Mean of log |â|² / h² in the first block, less the log of the mean of |â|² / h² in each block.
        ratios: See `largest_ratios`.

    Returns:
        The noise in them; 0 where there are none.
    """
    above_before, below_before, below_first = math.unstack(ratios, PART)
    total_power, total = (math.cumulative_sum(v, BLOCK) for v in (sums, counts))
    before, following = {"_block": slice(0, -1)}, {"_block": slice(1, None)}
    power = sums[following] / counts[following]
    mean_before = total_power[before] / total[before]
    rises = math.to_float(power > above_before * mean_before)
    steps = math.cumulative_sum(rises, BLOCK)
    empty = math.to_float(steps == 0)
    modes = counts[FIRST] + math.sum(empty * counts[following], BLOCK)
    mean = (sums[FIRST] + math.sum(empty * sums[following], BLOCK)) / modes
    compared = math.to_float((steps == 0) | ((steps == 1) & (rises > 0)))  # the plateau, and the block above it
    wide = 2 * (log_gain[following] - log_gain[FIRST]) > float(np.log(_LARGEST_RISE))
    too_steep = wide & (rise[following] > math.log(math.maximum(below_first, _LARGEST_RISE)))
    is_signal = math.sum(compared * math.to_float(too_steep), BLOCK) == 0
    falls = empty * math.to_float(mean_before > _UNEVEN * below_before * power)
    fills_all = math.sum(falls + math.to_float(mean > _UNEVEN * below_first * power), BLOCK) == 0
    known = fills_all & ~is_signal
    return NoiseEstimate(
        order.where(known, math.sqrt(mean), 0.0),
        order.where(known, 1 / math.sqrt(2 * modes), float("inf")),
        known,
    )
