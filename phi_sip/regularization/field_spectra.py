"""Given spectra as priors of fields that no closed form inverts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math

from ..errors import UnsupportedError
from ..gaussian_process import KnownPrior, ModePrior, StateGrid
from ..spectral import SpectralBasis
from ..spectral.sides import Fixed, Insulated, Periodic
from ..states import order, trees
from .gaussian_fields import GaussianFields
from .spectra import Spectrum

SIDES = {(Insulated, Insulated): False, (Periodic, Periodic): False, (Fixed, Fixed): True}  # whether modes are sines


@dataclass(frozen=True)
class FieldSpectrum(GaussianFields):
    """
    The prior of a spectrum S_k: independent modes, of the boundary of the state. Along periodic axes the modes are real
    here, so that S_k is averaged over the signs of the components of k.

    Attributes:
        spectrum: S_k.
    """

    spectrum: Spectrum

    def priors(self, grid: StateGrid, state: Any) -> Iterable[ModePrior]:
        """
        Returns the prior of states like `state`.

        Raises:
            UnsupportedError: if the state is no field, or its boundary differs between the two sides of an axis.
        """
        basis, kinds = _basis(state)
        columns = order.columns_of(trees.leaves(state)[0])
        with math.precision(64):
            log_power = order.matched(math.to_float(self.spectrum.log_power(basis)), columns)
        whole = math.expand(log_power, columns.without(basis.resolution) & basis.modes)
        powers = np.exp(np.asarray(whole.numpy(columns.names), np.float64))
        for place, kind in zip(grid.axes, kinds, strict=True):
            if kind == (Periodic, Periodic):
                powers = _of_both_signs(powers, place, grid.sizes[place])
        return [KnownPrior(grid.modes([SIDES[kind] for kind in kinds]), powers.reshape(-1))]

    def frees_constant(self, state: Any) -> bool:
        """Tells whether the constant is one of the modes. It has no prior then, as in closed forms."""
        return _basis(state)[0].conserves_mean


def _basis(state: Any) -> tuple[SpectralBasis, Sequence[Any]]:
    """Returns the basis of a state, and the kinds of its sides."""
    if not isinstance(state, Field):
        raise UnsupportedError(
            f"A spectrum is that of a Field on a uniform grid, but the state is {trees.describe(state)}. Give "
            f"EmpiricalBayes(), which fits one, or simulate Fields."
        )
    basis = SpectralBasis.of(state)
    kinds = [(type(lower), type(upper)) for lower, upper in basis.sides]
    if not all(kind in SIDES for kind in kinds):
        raise UnsupportedError(
            f"Where no closed form inverts, a spectrum needs the same boundary at both sides of each axis, but the "
            f"state has {state.boundary}. Give EmpiricalBayes(), which fits one."
        )
    return basis, kinds


def _of_both_signs(powers: np.ndarray, axis: int, count: int) -> np.ndarray:
    """Returns S_k of all modes along a periodic axis, of which some may be given: the mean of those of k and −k."""
    if powers.shape[axis] < count:  # the other half is that of −k, whose other components change their sign, too
        return np.take(powers, np.minimum(np.arange(count), count - np.arange(count)), axis)
    mean: np.ndarray = 0.5 * (powers + np.take(powers, -np.arange(count) % count, axis))
    return mean
