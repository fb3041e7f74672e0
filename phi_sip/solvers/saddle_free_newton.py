"""Saddle-free Newton: all of the curvature of the objective, for problems with few unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..compilation.iterations import Algorithm
from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import UnsupportedError
from ..frameworks import operations_of
from ..states.checks import check_count, check_parameter
from .least_squares import LeastSquares
from .newton_steps import descend, minimize


@dataclass(frozen=True)
class SaddleFreeNewton(InverseSolver):
    """
    Newton's method with the Hessian H of L(x) = ½ ‖P(x) − y*‖² in absolute value, H = Σ_i λ_i q_i q_iᵀ:

        d = −Σ_i q_i s_i,   s_i = g_i / |λ_i|,   g_i = q_iᵀ ∂L/∂x,   x ← x + d/2^j

    with |s_i| cut so that no direction promises to lower L by more than is left of it, |s_i g_i| / 2 ≤ c L_i, L_i being
    L less the decreases g_j² / 2 |λ_j| in the directions of more curvature; and j ≥ 0 the first that lowers L. Saddles
    repel, and units of x do not matter. Without the cut a soft direction would step far at an inflection point, and be
    excused by what a stiff one gains. The Hessian is dense, n² numbers and n derivatives of the gradient per batch
    entry. Batch entries do not mix.

    Args:
        iterations: At most so many steps.
        max_loss_change: c > 0. With 1, a parabola whose minimum is 0 is solved in one step.
        tolerance: A row has converged when its residual has fallen to this fraction, or its step, as a fraction of x,
            is shorter than the square of it.
        max_unknowns: Refuses larger n.

    Raises:
        ParameterError: if an argument is out of range.
        UnsupportedError: when solving, if there are too many unknowns, or the framework cannot differentiate.

    Source: Dauphin et al., "Identifying and Attacking the Saddle Point Problem in High-Dimensional Non-Convex
    Optimization", NeurIPS 2014, Algorithm 1; as inverse for training: Holl, Koltun, Thuerey (arXiv 2109.15048).
    """

    name: ClassVar[str] = "saddle-free-newton"

    iterations: int = 1
    max_loss_change: float = 1.0
    tolerance: float = 1e-4
    max_unknowns: int = 256

    def __post_init__(self) -> None:
        check_count("SaddleFreeNewton", "iterations", self.iterations)
        check_count("SaddleFreeNewton", "max_unknowns", self.max_unknowns)
        check_parameter("SaddleFreeNewton", "max_loss_change", self.max_loss_change, positive=True)
        check_parameter("SaddleFreeNewton", "tolerance", self.tolerance)

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        return minimize(self, self._algorithm, physics, y_target, x, y)

    def _algorithm(self, problem: LeastSquares) -> Algorithm:
        b, framework = problem.backend, operations_of(problem.backend)
        unknowns = problem.states.size
        if unknowns > self.max_unknowns:
            raise UnsupportedError(
                f"SaddleFreeNewton stores {unknowns}² second derivatives per batch entry, and {self.max_unknowns}² are "
                f"allowed. Use GaussNewton or LevenbergMarquardt, or raise max_unknowns if the memory suffices."
            )

        def remaining(objective: Any, decrease: Any, curvature: Any) -> Any:
            """Computes what is left of L after the decreases that all directions of more curvature promise."""
            stiffer = b.cast(curvature[:, None, :] > curvature[:, :, None], b.dtype(decrease))
            return b.maximum(objective - b.sum(stiffer * decrease[:, None, :], 2), decrease * 0)

        def direction(x: Any, square: Any, target: Any, noise: Any) -> tuple[Any, Any]:
            gradient, hessian = framework.hessian(lambda u: 0.5 * b.sum((target - problem.forward(u)) ** 2, 1), x)
            values, vectors = framework.eigh(hessian)
            slope = b.sum(vectors * gradient[:, :, None], 1)
            left = remaining(0.5 * square, 0.5 * problem.ratio(slope**2, abs(values)), abs(values))
            longest = problem.ratio(2 * self.max_loss_change * left, abs(slope))
            along = -b.sign(slope) * b.minimum(problem.ratio(abs(slope), abs(values), longest), longest)
            return b.sum(vectors * along[:, None, :], 2), unknowns + 2

        return descend(problem, self.iterations, self.tolerance, direction)


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [SaddleFreeNewton]
