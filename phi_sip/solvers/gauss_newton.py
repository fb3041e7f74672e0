"""Gauss–Newton: the inverse of the linearized process, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..compilation.iterations import Algorithm
from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..states.checks import check_count, check_parameter
from .least_squares import LeastSquares
from .newton_steps import descend, minimize
from .normal_equations import NormalEquations


@dataclass(frozen=True)
class GaussNewton(InverseSolver):
    """
    Least squares for any differentiable physics, J = ∂P/∂x at the current x:

        d = argmin ‖J d − (y* − P(x))‖²,   x ← x + d/2^i,   i ≥ 0 the first that lowers ‖P(x) − y*‖²

    d by conjugate gradients, which need only products with J and Jᵀ. Exact in one iteration for linear physics, of
    second order where y* can be reached. `physics.noise_energy` stops the conjugate gradients where the noise explains
    what is left, which regularizes. The misfit never grows beyond what the noise explains. Batch entries do not mix.

    Args:
        iterations: At most so many linearizations.
        inner_iterations: At most so many conjugate-gradient iterations for each.
        tolerance: A row has converged when its residual has fallen to this fraction, or its step, as a fraction of x,
            is shorter than the square of it.
        inner_tolerance: Of the conjugate gradients, relative, for the gradient.

    Raises:
        ParameterError: if an argument is out of range.
        UnsupportedError: when solving, if the framework cannot differentiate.

    Source: Nocedal, Wright, "Numerical Optimization", 2006, section 10.3; Hanke, "Regularizing Properties of
    a Truncated Newton-CG Algorithm for Nonlinear Inverse Problems", Numer. Funct. Anal. Optim. 18, 1997 (stopping).
    """

    name: ClassVar[str] = "gauss-newton"

    iterations: int = 5
    inner_iterations: int = 100
    tolerance: float = 1e-4
    inner_tolerance: float = 1e-5

    def __post_init__(self) -> None:
        check_count("GaussNewton", "iterations", self.iterations)
        check_count("GaussNewton", "inner_iterations", self.inner_iterations)
        check_parameter("GaussNewton", "tolerance", self.tolerance)
        check_parameter("GaussNewton", "inner_tolerance", self.inner_tolerance)

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        return minimize(self, self._algorithm, physics, y_target, x, y)

    def _algorithm(self, problem: LeastSquares) -> Algorithm:
        inner = NormalEquations(problem.backend, self.inner_iterations, self.inner_tolerance)

        def direction(x: Any, square: Any, target: Any, noise: Any) -> tuple[Any, Any]:
            y, push, pull = problem.linearize(x)
            d, _, products = inner.solve(push, pull, target - y, noise * 0, noise)
            return d, 2 * products + 2

        return descend(problem, self.iterations, self.tolerance, direction)


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [GaussNewton]
