"""A subset of the modes that costs the same on any grid, on which spectra are fitted."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from phiml import math
from phiml.math import Tensor, channel, expand, instance, spatial

from ..spectral import SpectralBasis
from .base import SpectralProblem

PICKED = instance("_picked")
SPACING = 1.25  # of the indices of the picked modes


@lru_cache(maxsize=64)
def lattice_of(basis: SpectralBasis) -> Lattice:
    """Returns the subset of the modes of a basis, which is made once."""
    with math.precision(64):
        return Lattice(basis)


def _matrix(axis: str, values: np.ndarray) -> Tensor:
    return math.wrap(values.astype(np.float64), spatial(axis), channel("_mode"))


def _members(ranks: np.ndarray) -> np.ndarray:
    """Tells which modes of an axis have each of the picked |k|; shape (picked, modes)."""
    picked = [0]
    while (following := max(picked[-1] + 1, int(np.ceil(SPACING * picked[-1])))) <= ranks.max():
        picked.append(following)
    members: np.ndarray = np.asarray(picked)[:, None] == ranks[None]
    return members


class Lattice:
    """
    A subset of the modes that is a product over axes: per axis all of the longest, then every one whose index is 1.25
    times that of the one before.

    Args:
        basis: All modes.

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
        """Computes the values at the subset, means over ±k; along `_picked`."""
        return self._contract(per_mode, self._means)

    def _contract(self, per_mode: Tensor, matrices: dict[str, Tensor]) -> Tensor:
        result = expand(per_mode, self._basis.modes)
        for axis, matrix in reversed(matrices.items()):  # the last axis is next to each other in memory
            result = math.dot(result, axis, math.to_float(matrix), "_mode")
        return math.pack_dims(result, self._basis.modes.names, PICKED)


def alive_in(problem: SpectralProblem, lattice: Lattice) -> Callable[[Tensor], Tensor]:
    """
    Returns what leaves out the modes of the subset with h_k < 1e-3 ε h_max in every batch entry.

    These hold nothing but noise. Where gains are being traced and cannot be looked at, all modes stay.
    """
    log_gain = lattice.pick(problem.log_gain - problem.log_unit)
    if not log_gain.available:
        return lambda values: values
    largest = math.max(log_gain, log_gain.shape.without("_picked")).numpy("_picked")
    kept = np.flatnonzero(largest > np.log(1e-3 * problem.rounding_unit))
    return lambda values: values[{"_picked": math.wrap(kept, PICKED)}]
