"""White Gaussian noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml.math import Shape, Tensor

from ..spectral import SpectralBasis
from ..states.parameters import as_tensor
from .base import STD, NoiseLaw


@dataclass(frozen=True)
class WhiteNoise(NoiseLaw):
    """n ~ N(0, σ²) in every cell, independent: the default."""

    name: ClassVar[str] = "white"

    @property
    def is_white(self) -> bool:
        """True."""
        return True

    @property
    def explains_once(self) -> bool:
        return True

    def sample(
        self, mean: Tensor, normal: Tensor, known: Mapping[str, Any], basis: SpectralBasis, alike: Shape
    ) -> Tensor:
        return normal * as_tensor(known[STD])
