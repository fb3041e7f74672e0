"""Gaussian process regression: fields from few values that depend on them linearly. NumPy and SciPy only."""

from .constants import Constants
from .fit import Explanation, fitted
from .grid import GridModes, StateGrid
from .known_prior import KnownPrior
from .law import FieldLaw
from .mode_prior import ModePrior
from .posterior import Posterior
from .posteriors import Posteriors
from .prior import Prior, priors_of
from .response import Response

__all__ = [
    "Constants",
    "Explanation",
    "FieldLaw",
    "GridModes",
    "KnownPrior",
    "ModePrior",
    "Posterior",
    "Posteriors",
    "Prior",
    "Response",
    "StateGrid",
    "fitted",
    "priors_of",
]
