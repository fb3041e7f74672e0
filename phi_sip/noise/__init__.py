"""How the noise of observations is distributed: one file per law."""

from .base import NoiseLaw
from .colored import ColoredNoise
from .multiplicative import MultiplicativeNoise
from .outliers import Outliers
from .per_cell import NoisePerCell
from .poisson import PoissonNoise
from .white import WhiteNoise

__all__ = [
    "ColoredNoise",
    "MultiplicativeNoise",
    "NoiseLaw",
    "NoisePerCell",
    "Outliers",
    "PoissonNoise",
    "WhiteNoise",
]
