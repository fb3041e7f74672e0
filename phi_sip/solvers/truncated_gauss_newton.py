"""Truncated Gauss–Newton: a few conjugate gradients of one linearization, for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..compilation.iterations import Algorithm, repeat
from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver, Solve
from ..spectral.conjugate_gradients import ConjugateGradients
from ..states.checks import check_count
from .least_squares import LeastSquares
from .newton_steps import backtrack, correction, explained, minimize, misfit_goal
from .simulation import Simulation


@dataclass(frozen=True)
class TruncatedGaussNewton(InverseSolver):
    """
    A few conjugate gradients of the linearized problem, J = ∂P/∂x at x:

        d ≈ argmin ‖J d − (y* − P(x))‖²,   x̃ = x + d/2^i,   i ≥ 0 the first that lowers ‖P(x) − y*‖²

    The default for nonlinear physics in training, where the next prediction comes from a better network anyway: it
    costs one simulation with its derivatives, two products with J or Jᵀ for each iteration, and one simulation for each
    length that is tried. Few iterations correct what the data determine well, and leave the rest as the network has
    it. `physics.noise_energy` stops them where the noise explains what is left. The misfit never grows above what the
    noise explains; where no length helps, x̃ = x. Batch entries do not mix.

    Args:
        iterations: Conjugate-gradient iterations.

    Raises:
        ParameterError: if `iterations` is no positive integer.
        UnsupportedError: when solving, if the framework cannot differentiate.

    Source: Dembo, Steihaug, "Truncated-Newton Algorithms for Large-Scale Unconstrained Optimization", Mathematical
    Programming 26, 1983; Nocedal, Wright, "Numerical Optimization", 2006, section 10.3.
    """

    name: ClassVar[str] = "truncated-gauss-newton"

    iterations: int = 3

    def __post_init__(self) -> None:
        check_count("TruncatedGaussNewton", "iterations", self.iterations)

    def begin(self, physics: InvertiblePhysics, x: Any) -> tuple[Any, Solve]:
        """Simulates x together with its derivatives, see `InverseSolver.begin`."""
        simulation = Simulation.of(physics, x)
        if simulation is None:
            return super().begin(physics, x)
        problem, y = simulation.problem, simulation.y

        def solve(y_target: Any) -> Correction:
            target = problem.observations.pack(y_target)
            return correction(problem, x, *self._step(simulation, target, explained(problem, y)))

        return y, solve

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        return minimize(self, self._algorithm, physics, y_target, x, y)

    def _algorithm(self, problem: LeastSquares) -> Algorithm:
        def run(start: Any, target: Any, noise: Any) -> tuple[Any, ...]:
            return self._step(Simulation(problem, start, *problem.linearize(start)), target, noise)

        return run

    def _step(self, simulation: Simulation, target: Any, noise: Any) -> tuple[Any, ...]:
        """Computes x̃, iterations, ‖P(x̃) − y*‖², whether that is explained, and simulations, per row."""
        problem = simulation.problem
        residual = target - simulation.rows
        square = problem.square(residual)
        method = ConjugateGradients(
            simulation.push, simulation.pull, problem.square, problem.backend.where, noise=noise
        )
        state = repeat(
            problem.backend,
            lambda state: method.advance(method.turn(state, square * 0)),
            method.origin(residual, simulation.start * 0),
            self.iterations,
        )
        moves = problem.square(state.d) > 0
        found = backtrack(problem, simulation.start, state.d, target, square, noise, moves)
        simulations = 1 + 2 * state.count + found.simulations
        goal = misfit_goal(problem, square, target, noise, 0.0)
        return found.x, state.count, found.square, found.square <= goal, simulations


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [TruncatedGaussNewton]
