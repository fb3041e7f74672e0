"""Gaussian priors of fields that no closed form inverts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..gaussian_process import ModePrior, StateGrid, priors_of


class GaussianFields(ABC):
    """Priors, among which the evidence of an observation chooses."""

    @abstractmethod
    def priors(self, grid: StateGrid, state: Any) -> Iterable[ModePrior]:
        """
        Returns the priors of states.

        Args:
            grid: Their grid.
            state: One of them, for its boundary.
        """

    def frees_constant(self, state: Any) -> bool:
        """Tells whether a constant that is observed has no prior. Default: True."""
        return True


@dataclass(frozen=True)
class PowerLaws(GaussianFields):
    """Power laws, whatever the boundary."""

    def priors(self, grid: StateGrid, state: Any) -> Iterable[ModePrior]:
        return priors_of(grid)
