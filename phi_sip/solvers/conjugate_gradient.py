"""Conjugate gradients on the normal equations: the inverse of any linear physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..compilation.iterations import Algorithm
from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..states.checks import check_count, check_parameter
from .least_squares import LeastSquares, check_linear
from .newton_steps import minimize
from .normal_equations import NormalEquations


@dataclass(frozen=True)
class ConjugateGradient(InverseSolver):
    """
    Least squares for linear physics, J = ∂P/∂x, by conjugate gradients on JᵀJ d = Jᵀ Δy from d = 0 (CGLS):

        x̃ = x + d_i,   i the first iteration with ‖J d_i − Δy‖² ≤ τ² E‖n‖²

    Every iteration costs one simulation and one vector–Jacobian product. What the noise hides is left as it is in x:
    stopping early is the regularization (discrepancy principle), with E‖n‖² from `physics.noise_energy`. Where that
    is not known, the iteration ends at `tolerance`. The misfit never grows. Batch entries do not mix.

    Args:
        iterations: At most this many.
        tau: τ > 0, margin on the noise.
        tolerance: Ends where ‖Jᵀ(J d − Δy)‖ has fallen to this fraction.

    Raises:
        ParameterError: if an argument is out of range.
        UnsupportedError: when solving, if the physics is not linear.

    Source: Hestenes, Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, section 10; Hanke,
    "Conjugate Gradient Type Methods for Ill-Posed Problems", 1995, chapter 3 (stopping).
    """

    name: ClassVar[str] = "conjugate-gradient"

    iterations: int = 100
    tau: float = 1.0
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        check_parameter("ConjugateGradient", "tau", self.tau, positive=True)
        check_parameter("ConjugateGradient", "tolerance", self.tolerance)
        check_count("ConjugateGradient", "iterations", self.iterations)

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        check_linear(self, physics)
        return minimize(self, self._algorithm, physics, y_target, x, y)

    def _algorithm(self, problem: LeastSquares) -> Algorithm:
        inner = NormalEquations(problem.backend, self.iterations, self.tolerance)

        def run(x: Any, target: Any, noise: Any) -> tuple[Any, ...]:
            y, push, pull = problem.linearize(x)
            d, left, count = inner.solve(push, pull, target - y, noise * 0, self.tau**2 * noise)
            return x + d, count, problem.square(left), count < self.iterations, 2 * count + 2

        return run


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [ConjugateGradient]
