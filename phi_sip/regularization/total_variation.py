"""Total variation: a prior of flat regions with sharp edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phiml import math
from phiml.math import Tensor

from .admm import Minimization
from .admm_edges import EdgesMinimization
from .base import SpectralProblem, SpectrumEstimate
from .field_edges import FieldEdges
from .field_prior import FieldPrior
from .split_prior import SplitPrior


@dataclass(frozen=True)
class TotalVariation(SplitPrior):
    """
    The state with the least edges that explains the observation:

        x̃ = argmin_x ½ ‖P(x) − y*‖² + λ Σ_a ‖D_a x‖₁,   x ≥ minimum if given

    with D_a the difference between neighbours along axis a. λ is fitted to each observation by the fixed point of its
    evidence, for a prior exp(−λ/σ² Σ‖D x‖₁) and γ modes that the data determine, S_k being that of `EmpiricalBayes`:

        λ = 1.5 σ² γ / Σ_a ‖D_a x‖₁,   γ = Σ_k S_k h_k² / (S_k h_k² + σ²)

    by the alternating direction method of multipliers, z = D x and v = x split off, over-relaxed, with the step for x
    solved exactly in the modes. Every batch entry stands for itself, and x̃ depends on y* alone. On data with edges it
    goes well below what any linear rule can; on smooth fields it is worse (`docs/noise.md`). The
    uncertainty is that of the linear posterior with the spectrum S_k, larger than the error where there are edges.
    Where physics has no closed form, as with masks and sensors, see `MaximumAPosteriori`.

    Args:
        minimum: Least value that x may have, e.g. 0.0 for concentrations; `None`: any.
        strength: Factor on λ, > 0.
        iterations: At most this many; 14 are within a few percent of convergence.
        tolerance: Stops when x changes by less than this fraction of its fluctuation in every batch entry; 0: never.
        single: Whether the iterations run in single precision on data in double, with what the data say in theirs:
            twice as fast, and x̃ is the same but for some 1e-6 of its fluctuation.

    Raises:
        ParameterError: if an argument is out of range.

    Source: Rudin, Osher, Fatemi, "Nonlinear Total Variation Based Noise Removal Algorithms", Physica D 60, 1992;
    Boyd et al., "Distributed Optimization and Statistical Learning via ADMM", 2011, sections 3.1, 3.4.3 (algorithm);
    MacKay, "Bayesian Interpolation", Neural Computation 4, 1992, eq. 4.11 (λ).
    """

    name: ClassVar[str] = "total-variation"

    minimization: ClassVar[type[Minimization]] = EdgesMinimization

    @property
    def field_prior(self) -> FieldPrior:
        return FieldPrior(FieldEdges(self.minimum, self.strength, self.iterations, self.tolerance, self.single))

    def number(self, problem: SpectralProblem, spectrum: SpectrumEstimate) -> Tensor:
        """Computes γ, how many modes of x the data determine, at least 1."""
        log_ratio = problem.log_signal_to_noise(spectrum)
        informed = (1 - problem.is_constant) / (1 + math.exp(-math.maximum(log_ratio, -80.0)))
        return math.maximum(problem.basis.sum(informed), 1.0)
