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
    The state of the fewest points that explains the observation, for leaks, hot spots, contaminant sources:

        x̃ = argmin_x ½ ‖P(x) − y*‖² + λ Σ_i w_i |x_i|,   x ≥ minimum if given
        λ = σ ‖P e‖ √(2 log N),   w_i = ε / (|x_i| + ε),   ε = 0.1 Σ x² / Σ |x|

    with x what is left of the state when the steady state of boundary values is taken off, N cells, ‖P e‖ what a single
    cell at 1 leaves in y*, and σ told or measured in each observation: what is less than λ cannot be told from noise.
    First all w are 1, which is the ℓ₁ norm of the lasso. It draws large values towards 0, so w is then fitted to x four
    times: in the end the penalty is nearly the number of points, and hardly depends on how large they are.

    The minimum is found by the alternating direction method of multipliers, z = x split off, over-relaxed, with the
    step for x solved exactly in the modes. Every batch entry stands for itself, x̃ depends on y* alone, and most of its
    cells are 0 to rounding. On points it goes far below what any linear rule can; on anything else it is much worse
    (`docs/noise.md`), so take the default rule, which uses it where it predicts held-out data, if you do not know.
    With w the problem is no longer convex: where points lie closer than they are blurred, some may come out in a
    neighbouring cell, or as one. The mean of x̃ is that of its points, which follows that of y* within the noise, and is
    not set to it as with other rules: the points know it better. The uncertainty is that of the linear posterior, far
    larger than the error.

    Args:
        minimum: Least value that x may have, e.g. 0.0 for concentrations; `None`: any, as 0 says nothing where y* is
            a temperature in °C. Sources that are not negative come out the same with either.
        strength: Factor on λ, > 0.
        iterations: At most this many. 80 are enough for ν·t ≤ 1 cell²; where x is blurred more, 200 are better.
        tolerance: After the last fit of w, stops when x changes by less than this fraction of it in every batch entry;
            0: never.
        single: Whether the iterations run in single precision on data in double. x̃ is then single precision as well.

    Raises:
        ParameterError: if an argument is out of range.

    Source: Candès, Wakin, Boyd, "Enhancing Sparsity by Reweighted ℓ₁ Minimization", J. Fourier Anal. Appl. 14, 2008,
    section 2.2 (w); Chen, Donoho, Saunders, "Atomic Decomposition by Basis Pursuit", SIAM J. Sci. Comput. 20, 1998,
    section 5 (λ); Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.4.3,
    6.4 (algorithm).
    """

    name: ClassVar[str] = "sparse"
    minimization: ClassVar[type[Minimization]] = PointsMinimization

    iterations: int = 80

    def number(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> Tensor:
        """Computes √(2 log N): white noise of standard deviation 1 reaches this about once in N cells."""
        number = float(np.sqrt(2 * np.log(problem.basis.resolution.volume)))
        return math.cast(math.wrap(number), problem.noise_power.dtype)
