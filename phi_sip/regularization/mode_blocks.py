"""The modes of a grid in blocks of growing gain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from phiml import math
from phiml.math import Shape, Tensor, channel, instance

from ..spectral import SpectralBasis

BLOCK = channel("_block")
FIRST = {"_block": 0}
_FIRST_SIZE, _GROWTH, _LARGEST_SAMPLE = 8.0, 1.3, 16384
_FEWEST, _FEW = 2.0, 32.0  # modes that a block needs, and among which it may end early


@dataclass(frozen=True, eq=False)
class ModeBlocks:
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
        """Returns the values of the modes in use, along `_mode`."""
        flat = math.pack_dims(math.expand(per_mode, self.modes), self.modes.names, instance("_mode"))
        if len(self.picked) < self.modes.volume:
            flat = flat[{"_mode": math.wrap(self.picked, instance("_mode"))}]
        return flat

    def sums(self, values: Tensor) -> Tensor:
        """Computes Σ of the values of each block."""
        return math.dot(values, "_mode", self.members, "_mode")

    def first_logs(self, values: Tensor, number: int) -> Tensor:
        """Computes Σ log of the values of each of the first blocks."""
        first = self.members[{"_block": slice(0, number)}]
        inside = {"_mode": math.wrap(np.flatnonzero(first.numpy("_mode,_block").any(1)), instance("_mode"))}
        return math.dot(math.log(positive(values[inside])), "_mode", first[inside], "_mode")


def mode_blocks(log_gain: Tensor, basis: SpectralBasis) -> ModeBlocks:
    """
    Returns the blocks, in the order of the mean gain of all entries.

    Args:
        log_gain: log h_k per mode. Other dims are entries.
        basis: The modes.
    """
    entries = log_gain.shape.without(basis.modes)
    gains = math.expand(log_gain, basis.modes).numpy([*entries.names, *basis.modes.names])
    gains = gains.reshape(-1, basis.modes.volume).astype(np.float64)
    sorted_modes = _sorted_modes(basis, gains.mean(0).tobytes())
    order, block = sorted_modes.order, sorted_modes.block
    lowest = np.minimum.reduceat(gains[:, order], np.flatnonzero(np.diff(block, prepend=-1)), 1)
    state_power = np.ones((len(gains), len(sorted_modes.picked)))
    state_power[:, sorted_modes.place] = np.exp(2 * (lowest[:, block] - gains[:, order]))
    return ModeBlocks(
        basis.modes,
        sorted_modes.picked,
        math.to_float(sorted_modes.members),
        math.to_float(math.reshaped_tensor(lowest, [entries, BLOCK], convert=False)),
        math.to_float(math.reshaped_tensor(state_power, [entries, instance("_mode")], convert=False)),
    )


class _SortedModes(NamedTuple):
    """
    The modes of a grid, sorted by their gain.

    Attributes:
        order: Indices of the modes but the constant, of growing gain.
        block: Which block each of them is in.
        picked: Indices of the modes in use: these, or all, most of them with weight 0, which costs less than picking.
        place: Where each of the ordered modes is among those.
        members: See `ModeBlocks`.
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
    return _SortedModes(order, block, picked, place, math.wrap(members, instance("_mode"), BLOCK))


def _numbers(multiplicity: np.ndarray, log_gain: np.ndarray) -> np.ndarray:
    """
    Computes the number of the block of each mode.

    Each block has 1.3 times as many modes as the one before. Among the first few modes, a block of at least two also
    ends where the gain has risen tenfold, as its modes would have too little in common.

    Args:
        multiplicity: How many modes each one stands for, shape (modes,).
        log_gain: log h_k in growing order, shape (modes,).
    """
    numbers, number, size, inside, total = [], 0, _FIRST_SIZE, 0.0, 0.0
    lowest = log_gain[:1]
    for modes, gain in zip(multiplicity, log_gain, strict=True):
        is_full = inside >= size
        if is_full or (inside >= _FEWEST and total < _FEW and gain > lowest + np.log(10)):
            number, inside, lowest = number + 1, 0.0, gain
            size *= _GROWTH if is_full else 1
        numbers.append(number)
        inside, total = inside + modes, total + modes
    return np.array(numbers, int)


def positive(power: Tensor) -> Tensor:
    """Returns values whose logarithm is finite: no less than the smallest normal number."""
    return math.maximum(power, float(np.finfo(f"float{power.dtype.precision}").tiny))
