"""Levenberg–Marquardt: Gauss–Newton that trusts its linearization as far as it has proved right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..compilation.iterations import Algorithm, repeat
from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..states.checks import check_count, check_parameter
from .least_squares import LeastSquares
from .newton_steps import minimize, misfit_goal
from .normal_equations import NormalEquations


@dataclass(frozen=True)
class LevenbergMarquardt(InverseSolver):
    """
    Damped least squares for any differentiable physics, J = ∂P/∂x at the current x:

        d = argmin ‖J d − (y* − P(x))‖² + μ ‖d‖²,   x ← x + d if that lowers ‖P(x) − y*‖²

    The default of `sip_inverse` for nonlinear physics. d by conjugate gradients, which need only products with J and
    Jᵀ. μ starts at `damping` in units of the curvature along the gradient, ‖J g‖² / ‖g‖², so that no unit of x or y
    matters. It falls where the linearization predicts well, to a third at most, and grows where the step does not help.
    Once it is small, convergence is that of `GaussNewton`. `physics.noise_energy` stops the iteration where the noise
    explains what is left. The misfit never grows. Batch entries do not mix. The defaults take a hundred simulations at
    most.

    Args:
        iterations: At most so many linearizations, steps that do not help included.
        inner_iterations: At most so many conjugate-gradient iterations for each.
        tolerance: A row has converged when its residual has fallen to this fraction, or its step, as a fraction of x,
            is shorter than the square of it.
        inner_tolerance: Of the conjugate gradients, relative, for the gradient.
        damping: First μ, > 0.

    Raises:
        ParameterError: if an argument is out of range.
        UnsupportedError: when solving, if the framework cannot differentiate.

    Source: Madsen, Nielsen, Tingleff, "Methods for Non-Linear Least Squares Problems", 2004, Algorithm 3.16.
    """

    name: ClassVar[str] = "levenberg-marquardt"

    iterations: int = 4
    inner_iterations: int = 10
    tolerance: float = 1e-3
    inner_tolerance: float = 1e-2
    damping: float = 1e-3

    def __post_init__(self) -> None:
        check_count("LevenbergMarquardt", "iterations", self.iterations)
        check_count("LevenbergMarquardt", "inner_iterations", self.inner_iterations)
        check_parameter("LevenbergMarquardt", "tolerance", self.tolerance)
        check_parameter("LevenbergMarquardt", "inner_tolerance", self.inner_tolerance)
        check_parameter("LevenbergMarquardt", "damping", self.damping, positive=True)

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        return minimize(self, self._algorithm, physics, y_target, x, y)

    def _algorithm(self, problem: LeastSquares) -> Algorithm:
        b = problem.backend
        inner = NormalEquations(b, self.inner_iterations, self.inner_tolerance)

        def run(start: Any, target: Any, noise: Any) -> tuple[Any, ...]:
            first = problem.square(target - problem.forward(start))
            goal = misfit_goal(problem, first, target, noise, self.tolerance)

            def iterate(state: _Damped) -> _Damped:
                x, square, moving = state.x, state.square, state.moving
                y, push, pull = problem.linearize(x)
                d, left, products = inner.solve(push, pull, target - y, state.damping, noise)
                misfit = problem.square(target - problem.forward(x + d))
                gain = problem.ratio(square - misfit, square - problem.square(left))
                helps = moving & (misfit < square)
                small = problem.square(d) <= self.tolerance**4 * problem.square(x)
                square = b.where(helps, misfit, square)
                done = state.done | (moving & (small | (square <= goal)))
                eased = state.damping * b.maximum(1 - (2 * gain - 1) ** 3, state.damping * 0 + 1 / 3)
                now = b.cast(moving, b.dtype(state.iterations))
                return _Damped(
                    moving & ~done,
                    b.where(helps, x + d, x),
                    square,
                    done,
                    b.where(helps, eased, state.damping * state.growth),
                    b.where(helps, state.growth * 0 + 2, state.growth * 2),
                    state.iterations + now,
                    state.simulations + now * (2 * products + 3),
                )

            done, zero = first <= goal, first * 0
            damping = self.damping * _curvature(problem, start, target)
            end = repeat(
                b, iterate, _Damped(~done, start, first, done, damping, zero + 2, zero, zero + 4), self.iterations
            )
            return end.x, end.iterations, end.square, end.done, end.simulations

        return run


class _Damped(NamedTuple):
    """
    Where the iteration is, per row.

    Attributes:
        moving, x, square, done: See `NewtonState`.
        damping: μ.
        growth: Factor on μ if the next step does not help.
        iterations, simulations: See `NewtonState`.
    """

    moving: Any
    x: Any
    square: Any
    done: Any
    damping: Any
    growth: Any
    iterations: Any
    simulations: Any


def _curvature(problem: LeastSquares, x: Any, target: Any) -> Any:
    """Computes ‖J g‖² / ‖g‖² along the gradient g, per row."""
    y, push, pull = problem.linearize(x)
    gradient = pull(target - y)
    return problem.ratio(problem.square(push(gradient)), problem.square(gradient))


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [LevenbergMarquardt]
