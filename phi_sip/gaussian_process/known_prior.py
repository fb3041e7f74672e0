"""Gaussian priors that are known, and not fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .mode_prior import ModePrior


@dataclass(frozen=True, eq=False)
class KnownPrior(ModePrior):
    """
    Independent c_k ~ N(0, S_k) with S_k as given.

    Attributes:
        powers: S_k per column.
    """

    amplitude: ClassVar[float | None] = 1.0

    powers: np.ndarray

    def power(self) -> np.ndarray:
        return self.powers
