"""The linearized posterior of a Gaussian prior by conjugate gradients, and steps towards it, on native matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..compilation.iterations import Algorithm, repeat
from ..spectral.conjugate_gradients import ConjugateGradients
from .least_squares import LeastSquares
from .newton_steps import backtrack
from .whitening import Whitening


def trial(problem: LeastSquares) -> Algorithm:
    """
    Returns the algorithm that goes from x towards x', as far as that lowers the misfit, or as noise explains it:

        (x, x', y*, ‖n‖²) ↦ (state, ‖P(state) − y*‖², whether a length helped, simulations)
    """

    def run(x: Any, found: Any, target: Any, noise: Any) -> tuple[Any, ...]:
        square = problem.square(target - problem.forward(x))
        end = backtrack(problem, x, found - x, target, square, noise)
        return end.x, end.square, ~end.searching, end.simulations + 1

    return run


@dataclass(frozen=True)
class WhitenedSolve:
    """
    The most likely state of linearized physics, in coordinates in which the prior is white,

        min ½ ‖J x(w, b) − r‖² / σ² + ½ ‖D^(−¼) w‖²,   x(w, b) = Φᵀ S^½ D^(−¼) w + E b

    by conjugate gradients. D, near 1 + diag(S^½ Φ JᵀJ Φᵀ S^½) / σ², makes them fast. Its fourth root in place of its
    root keeps the order in which they find things: what is stopped early lacks details, but holds nothing else.

    Attributes:
        sizes, axes: See `Whitening`.
        iterations: At most.
        tolerance: Of the gradient, per value of w, whose prior has the deviation D^¼ ≥ 1.
    """

    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    iterations: int
    tolerance: float

    def answer(self, problem: LeastSquares) -> Algorithm:
        """
        Returns the algorithm that explains y* by the linearization at x:
        (x, start, y*, deviations, D^(−¼), E, 1/σ, matrices…) ↦ (most likely state, ‖what is left of y*‖², simulations)
        """

        def run(x: Any, start: Any, target: Any, *law: Any) -> tuple[Any, ...]:
            y, push, pull = problem.linearize(x)
            residual = target - y + push(x - start)
            found, count = self._most_likely(problem, push, pull, residual, law)
            return start + found, problem.square(residual - push(found)), 2 * count + 3

        return run

    def explained(self, problem: LeastSquares) -> Algorithm:
        """
        Returns the algorithm that says how much of the noise the state takes for signal, in units of σ²:
        (x, white noise n, deviations, D^(−¼), E, 1/σ, matrices…) ↦ (nᵀ J x̂(n), whose mean is γ, simulations)
        """

        def run(x: Any, noise: Any, *law: Any) -> tuple[Any, ...]:
            _, push, pull = problem.linearize(x)
            found, count = self._most_likely(problem, push, pull, noise / law[3], law)
            followed = push(found) * law[3] * noise
            return problem.backend.sum(followed, 1, keepdims=True), 2 * count + 3

        return run

    def error(self, problem: LeastSquares) -> Algorithm:
        """
        Returns the algorithm that answers a drawn state and drawn noise, and says how far the answer is from the state:
        (x, coefficients of the state, noise, deviations, D^(−¼), E, 1/σ, matrices…) ↦ (error,)
        """

        def run(x: Any, coefficients: Any, noise: Any, *law: Any) -> tuple[Any, ...]:
            _, push, pull = problem.linearize(x)
            state = self._whitening(problem, law).state(coefficients)
            answer, _ = self._most_likely(problem, push, pull, push(state) + noise, law)
            return (state - answer,)

        return run

    def _most_likely(
        self,
        problem: LeastSquares,
        push: Callable[[Any], Any],
        pull: Callable[[Any], Any],
        residual: Any,
        law: tuple[Any, ...],
    ) -> tuple[Any, Any]:
        """Returns the most likely x for J x = `residual`, and how many iterations each row took."""
        b, values = problem.backend, problem.observations.size
        white, weight = self._whitening(problem, law), law[3]

        def pushed(coordinates: Any) -> Any:
            return b.concat([push(white.colored(coordinates)) * weight, white.white(coordinates)], 1)

        def pulled(left: Any) -> Any:
            return white.pulled(pull(left[:, :values] * weight), left[:, values:])

        method = ConjugateGradients(pushed, pulled, problem.square, b.where, tolerance=self.tolerance)
        start = method.start(b.concat([residual * weight, white.deviations * 0], 1))
        end = repeat(b, lambda state: method.step(state, float(problem.states.size)), start, self.iterations)
        return white.colored(end.d), end.count

    def _whitening(self, problem: LeastSquares, law: tuple[Any, ...]) -> Whitening:
        deviations, preconditioner, constants, _, *matrices = law
        return Whitening(problem.backend, self.sizes, self.axes, matrices, deviations, preconditioner, constants)
