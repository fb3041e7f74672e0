"""Posteriors of observations that depend on their states in several ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .posterior import Posterior


@dataclass(frozen=True, eq=False)
class Posteriors:
    """
    Posteriors as one.

    Attributes:
        parts: Places of observations among all, and their posterior.
    """

    parts: Sequence[tuple[np.ndarray, Posterior]]

    @property
    def mean(self) -> np.ndarray:
        """x̂, shape (n, columns)."""
        return self._whole(lambda posterior: posterior.mean)

    @property
    def noise_variance(self) -> np.ndarray:
        """σ², shape (n,)."""
        return self._whole(lambda posterior: posterior.noise_variance)

    def followed(self) -> np.ndarray:
        """Computes how many values each x̂ follows, apart from constants, shape (n,)."""
        return self._whole(Posterior.followed)

    def variance(self) -> np.ndarray:
        """Computes the variance of x, shape (n, columns)."""
        return self._whole(Posterior.variance)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws states, shape (n, count, columns)."""
        return self._whole(lambda posterior: posterior.draw(count, rng))

    def _whole(self, of: Callable[[Posterior], np.ndarray]) -> np.ndarray:
        """Puts together what is known of each part."""
        found = [of(posterior) for _, posterior in self.parts]
        places = np.concatenate([place for place, _ in self.parts])
        whole: np.ndarray = np.concatenate(found)[np.argsort(places)]
        return whole
