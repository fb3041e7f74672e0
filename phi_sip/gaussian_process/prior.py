"""Gaussian priors of a field: power laws of its modes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .grid import GridModes, StateGrid

EXPONENTS = (1.0, 1.5, 2.0, 2.5, 3.5)
SCALES = (1.0, 3.0, 10.0, 30.0)  # τ, in units of 1 / the longest side


@dataclass(frozen=True)
class Prior:
    """
    x = Σ_k c_k φ_k with independent c_k ~ N(0, A S_k), components alike,

        S_k = (|k|² + τ²)^(−α) / max

    which is the Matérn field of smoothness α − d/2 and correlation length about 1/τ, with the modes φ_k.

    Attributes:
        modes: φ_k.
        exponent: α.
        scale: τ times the longest side of the domain.

    Source: Lindgren, Rue, Lindström, "An explicit link between Gaussian fields and Gaussian Markov random fields: the
    stochastic partial differential equation approach", 2011.
    """

    modes: GridModes
    exponent: float
    scale: float

    def power(self) -> np.ndarray:
        """Computes S_k per column."""
        tau = self.scale / max(self.modes.grid.lengths)
        log_power = -self.exponent * np.log(self.modes.k_squared() + tau**2)
        power: np.ndarray = np.exp(log_power - log_power.max())
        return power

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Computes C v for rows v, shape (rows, columns)."""
        return self.modes.inverse(self.power() * self.modes.transform(rows))

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws states of the prior with A = 1, shape (count, columns)."""
        power = self.power()
        return self.modes.inverse(np.sqrt(power) * rng.standard_normal((count, len(power))))

    def variance(self) -> np.ndarray:
        """Computes the diagonal of C, per column."""
        return self.modes.variance(self.power())


def priors_of(grid: StateGrid) -> Iterator[Prior]:
    """Yields the priors among which the evidence of an observation chooses."""
    for modes in grid.families():
        for exponent in EXPONENTS:
            for scale in SCALES:
                yield Prior(modes, exponent, scale)
