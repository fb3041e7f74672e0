"""Gaussian priors of a field: power laws of its modes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .grid import GridModes, StateGrid
from .mode_prior import ModePrior

EXPONENTS = (1.0, 1.5, 2.0, 2.5, 3.5)
SCALES = (1.0, 3.0, 10.0, 30.0)  # τ, in units of 1 / the longest side
EXPONENTS_PER_AXIS = (0.75, 1.0, 1.5, 2.0)
SCALES_PER_AXIS = (1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Prior(ModePrior):
    """
    x = Σ_k c_k φ_k with independent c_k ~ N(0, A S_k), components alike,

        S_k = (|k|² + τ²)^(−α) / max   or   Π_a (k_a² + τ²)^(−α) / max

    The first is the Matérn field of smoothness α − d/2 and correlation length about 1/τ, with the modes φ_k. The
    second, with its power along the axes, is that of things with sides along them.

    Attributes:
        modes: φ_k.
        exponent: α.
        scale: τ times the longest side of the domain.
        per_axis: Whether it is the product over axes.

    Source: Lindgren, Rue, Lindström, "An explicit link between Gaussian fields and Gaussian Markov random fields: the
    stochastic partial differential equation approach", 2011.
    """

    modes: GridModes
    exponent: float
    scale: float
    per_axis: bool = False

    def power(self) -> np.ndarray:
        tau = self.scale / max(self.modes.grid.lengths)
        parts = self.modes.k_squared_of_axes() if self.per_axis else [self.modes.k_squared()]
        log_power = -self.exponent * np.sum([np.log(part + tau**2) for part in parts], 0)
        power: np.ndarray = np.exp(log_power - log_power.max())
        return power


def priors_of(grid: StateGrid) -> Iterator[Prior]:
    """Yields the priors among which the evidence of an observation chooses."""
    for modes in grid.families():
        for exponent in EXPONENTS:
            for scale in SCALES:
                yield Prior(modes, exponent, scale)
        if len(grid.axes) > 1:
            for exponent in EXPONENTS_PER_AXIS:
                for scale in SCALES_PER_AXIS:
                    yield Prior(modes, exponent, scale, per_axis=True)
