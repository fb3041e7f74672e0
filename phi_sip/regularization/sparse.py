"""Sparse: a prior of few points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from phiml import math
from phiml.math import Tensor

from .admm import Minimization
from .admm_points import PointsMinimization
from .base import SpectralProblem, SpectrumEstimate
from .split_prior import SplitPrior


@dataclass(frozen=True)
class Sparse(SplitPrior):
    """
    TODO
    """

    name: ClassVar[str] = "sparse"
    minimization: ClassVar[type[Minimization]] = PointsMinimization

    iterations: int = 80

    def number(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> Tensor:
        """Computes √(2 log N): white noise of standard deviation 1 reaches this about once in N cells."""
        return math.to_float(math.wrap(float(np.sqrt(2 * np.log(problem.basis.resolution.volume)))))
