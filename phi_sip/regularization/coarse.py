"""The same problem on a coarser grid, for what needs no more than the long waves."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..spectral import SpectralBasis
from ..states import order
from .base import SpectralProblem, SpectrumEstimate

FEWEST_CELLS = 16  # of the coarse grid, per axis
LARGEST_LOSS = 1e-4  # largest gain of the modes that the coarse grid lacks, in units of the largest gain
UNSEEN = -200.0  # log gain of a mode of which the observation says nothing


def coarsened(problem: SpectralProblem, spectrum: SpectrumEstimate) -> tuple[SpectralProblem, SpectrumEstimate]:
    """
    Returns the problem and S_k for half as many cells per axis, at 1 / 2^rank of the cost.

    They stay as they are where the grid cannot be halved, where the physics leaves more than `LARGEST_LOSS` of the
    shorter waves, or where the gains are being traced and cannot be looked at.

    Args:
        problem: Observation on the fine grid.
        spectrum: S_k of its modes.
    """
    basis, coarse = problem.basis, problem.basis.coarse
    if coarse is None or min(coarse.resolution.sizes) < FEWEST_CELLS or not _holds_long_waves_only(problem, coarse):
        return problem, spectrum
    inside, share = _inside(coarse), coarse.resolution.volume / basis.resolution.volume
    log_gain = order.where(inside, basis.restrict(math.expand(problem.log_gain, basis.modes)), UNSEEN)
    log_power = basis.restrict(spectrum.log_power) + float(np.log(share))
    restricted = dataclasses.replace(
        problem,
        compute_target=lambda: basis.restrict(problem.target) * math.to_float(inside) * float(np.sqrt(share)),
        compute_mean_square=lambda: problem.mean_square * share,
        log_gain=log_gain,
        noise_std=math.sqrt(problem.noise_power * share),
        basis=coarse,
        offset=_averaged(problem.offset),
        log_power=None if problem.log_power is None else basis.restrict(math.expand(problem.log_power, basis.modes)),
    )
    return restricted, SpectrumEstimate(log_power, lambda: log_power)


def _holds_long_waves_only(problem: SpectralProblem, coarse: SpectralBasis) -> bool:
    relative = problem.log_gain - problem.log_unit
    if not relative.available:
        return False
    kept = [k < _shortest(coarse, axis) for axis, k in problem.basis.axis_wavenumbers.items()]
    lost = order.where(_all(kept), -float("inf"), relative)
    return bool((lost < float(np.log(LARGEST_LOSS))).all)


@lru_cache(maxsize=64)
def _inside(basis: SpectralBasis) -> Tensor:
    """Tells which modes differ from their opposite on this grid."""
    return _all([k < _shortest(basis, axis) for axis, k in basis.axis_wavenumbers.items()])


def _shortest(basis: SpectralBasis, axis: str) -> float:
    """Computes π / dx, a little less so that rounding does not matter."""
    return (1 - 1e-6) * np.pi * int(basis.resolution.get_size(axis)) / float(basis.size.vector[axis])


def _all(conditions: list[Tensor]) -> Tensor:
    result = conditions[0]
    for condition in conditions[1:]:
        result = result & condition
    return result


def _averaged(offset: Tensor) -> Tensor:
    """Computes means over pairs of cells along the axes that `offset` depends on."""
    for axis in offset.shape.spatial.names:
        offset = (offset[{axis: slice(0, None, 2)}] + offset[{axis: slice(1, None, 2)}]) / 2
    return offset
