"""What elliptic equations share, whose unknown is the source."""

from __future__ import annotations

from phiml import math

from ..regularization import Regularization, Unregularized
from ..regularization.noise import EmptyModes
from .spectral import SpectralPhysics


class SourceProblem(SpectralPhysics):
    """
    An elliptic equation, diagonal in the eigenfunctions of the domain, from its source x to its solution y. No mode is
    lost, so that the inverse is exact where σ is 0 and no rule is given: `Unregularized()`, else `CrossValidated()`.
    """

    @property
    def rule(self) -> Regularization:
        """The regularization in use."""
        if self.regularization is None and self._is_exact:
            return Unregularized()
        return super().rule

    @property
    def _is_exact(self) -> bool:
        """Whether observations are known to have no noise."""
        if isinstance(self.noise_std, EmptyModes):
            return False
        noise = math.wrap(self.noise_std)
        return bool(noise.available) and bool((noise == 0).all)
