"""Gaussian priors of a field whose modes are independent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .grid import GridModes


@dataclass(frozen=True)
class ModePrior(ABC):
    """
    x = Σ_k c_k φ_k with independent c_k ~ N(0, A S_k).

    Attributes:
        modes: φ_k.
        amplitude: A, if it is known; `None`: it is fitted.
    """

    amplitude: ClassVar[float | None] = None

    modes: GridModes

    @abstractmethod
    def power(self) -> np.ndarray:
        """Computes S_k per column."""

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
