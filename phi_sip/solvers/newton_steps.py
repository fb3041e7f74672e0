"""What iterations on ½ ‖P(x) − y*‖² share: what they start from, when they stop, and what they report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from phiml import math

from ..compilation.iterations import Algorithm, repeat
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import Convergence
from ..states import trees
from .least_squares import LeastSquares, run

BACKTRACKING = 10  # halvings of a step that does not help
CONFIDENCE = 2.0  # standard deviations of ‖n‖² above its mean: less could be out of reach


def minimize(
    method: Any, make: Callable[[LeastSquares], Algorithm], physics: InvertiblePhysics, y_target: Any, x: Any, y: Any
) -> Correction:
    """
    Runs an algorithm on native matrices, and returns the correction that it finds.

    Args:
        method: The solver, whose options the algorithm has.
        make: Builds the algorithm: (x, y_target, ‖n‖²) ↦ (x̃, iterations, ‖P(x̃) − y*‖², converged, simulations), with
            one row per batch entry; ‖n‖² is what the noise may explain, two standard deviations above its mean.
        physics, y_target, x, y: See `InverseSolver.solve`.
    """
    problem = LeastSquares.of(physics, y_target, x, y, scaled=True)
    start, target = problem.states.pack(x), problem.observations.pack(y_target)
    return correction(problem, x, *run(make, method, problem, start, target, explained(problem, y)))


def explained(problem: LeastSquares, y: Any) -> Any:
    """Computes ‖n‖² that the noise may explain per row, two standard deviations above its mean; 0 if not known."""
    noise = problem.physics.noise_energy(y)
    margin = 1 + CONFIDENCE * float(np.sqrt(2 / problem.observations.size))
    energy = math.convert(math.wrap(0.0) if noise is None else noise * margin, problem.backend)
    rows = math.expand(math.cast(energy, math.DType(float, problem.precision)), problem.states.entries)
    return problem.backend.reshape(rows.native([problem.states.entries]), (-1, 1))


def correction(problem: LeastSquares, x: Any, found: Any, *report: Any) -> Correction:
    """
    Returns the correction of x to what an algorithm has found.

    Args:
        problem: What was solved.
        x: Where the search began.
        found: x̃, one row per batch entry.
        report: Iterations, ‖P(x̃) − y*‖², whether it has converged, and simulations, one row per batch entry.
    """
    iterations, square, converged, simulations = (problem.per_entry(native) for native in report)
    convergence = Convergence(
        math.to_int32(iterations), 0.5 * square, math.cast(converged, bool), math.to_int32(simulations)
    )
    return Correction(trees.subtract(problem.states.unpack(found), x), stats=convergence.stats())


def misfit_goal(problem: LeastSquares, square: Any, target: Any, noise: Any, tolerance: float) -> Any:
    """
    Computes the misfit ‖P(x) − y*‖² at which a row has converged: what noise or rounding explain, or a fraction of the
    first misfit.

    Args:
        problem: What to solve.
        square: First misfit.
        target, noise: y* and what the noise may explain.
        tolerance: Fraction of the first residual ‖P(x) − y*‖.
    """
    rounding = 4 * float(np.finfo(f"float{problem.precision}").eps)
    unavoidable = problem.backend.maximum(noise * (1 + 1e-6), rounding**2 * problem.square(target))
    return problem.backend.maximum(unavoidable, tolerance**2 * square)


class Search(NamedTuple):
    """
    Where a line search is, per row.

    Attributes:
        searching: Whether no length has helped yet.
        length: Fraction of the step to be tried next.
        x: State found so far.
        square: ‖P(x) − y*‖² there.
        simulations: How many were made.
    """

    searching: Any
    length: Any
    x: Any
    square: Any
    simulations: Any


def backtrack(
    problem: LeastSquares, x: Any, step: Any, target: Any, square: Any, noise: Any, searching: Any = None
) -> Search:
    """
    Finds the longest of step, step/2, step/4, … that lowers the misfit, or brings it to what the noise explains.

    Args:
        problem: P.
        x: State at which the search starts.
        step: Longest change of x.
        target: y*.
        square: ‖P(x) − y*‖².
        noise: ‖n‖².
        searching: Which rows to look at. Default: all. The others stay at x.

    Returns:
        How the search ended. Rows that are still searching stay at x.
    """
    b = problem.backend

    def attempt(state: Search) -> Search:
        tried = x + state.length * step
        misfit = problem.square(target - problem.forward(tried))
        good = state.searching & ((misfit < square) | (misfit <= noise))
        return Search(
            state.searching & ~good,
            0.5 * state.length,
            b.where(good, tried, state.x),
            b.where(good, misfit, state.square),
            state.simulations + b.cast(state.searching, b.dtype(state.simulations)),
        )

    rows = square == square if searching is None else searching
    return repeat(b, attempt, Search(rows, square * 0 + 1, x, square, square * 0), BACKTRACKING)


class NewtonState(NamedTuple):
    """
    Where Newton-like steps are, per row.

    Attributes:
        moving: Whether a row goes on.
        x: Its state.
        square: ‖P(x) − y*‖².
        done: Whether it has converged.
        iterations: How many steps it has taken.
        simulations: How many simulations these took.
    """

    moving: Any
    x: Any
    square: Any
    done: Any
    iterations: Any
    simulations: Any


Direction = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def descend(problem: LeastSquares, iterations: int, tolerance: float, direction: Direction) -> Algorithm:
    """
    Repeats x ← x + d/2^i, i from `backtrack`, until a row has converged or no length helps.

    Args:
        problem: What to solve.
        iterations: At most so many steps.
        tolerance: A row has converged when its residual has fallen to this fraction, or its step, as a fraction of x,
            is shorter than the square of it.
        direction: (x, ‖P(x) − y*‖², y_target, ‖n‖²) ↦ (d, how many simulations each row took for it).

    Returns:
        Algorithm for `minimize`.
    """
    b = problem.backend

    def run(start: Any, target: Any, noise: Any) -> tuple[Any, ...]:
        first = problem.square(target - problem.forward(start))
        goal = misfit_goal(problem, first, target, noise, tolerance)

        def iterate(state: NewtonState) -> NewtonState:
            moving = state.moving
            step, products = direction(state.x, state.square, target, noise)
            found = backtrack(problem, state.x, step, target, state.square, noise)
            small = problem.square(found.x - state.x) <= tolerance**4 * problem.square(found.x)
            square = b.where(moving, found.square, state.square)
            done = state.done | (moving & ((~found.searching & small) | (square <= goal)))
            now = b.cast(moving, b.dtype(state.iterations))
            return NewtonState(
                moving & ~found.searching & ~done,
                b.where(moving, found.x, state.x),
                square,
                done,
                state.iterations + now,
                state.simulations + now * (products + found.simulations),
            )

        done = first <= goal
        begin = NewtonState(~done, start, first, done, first * 0, first * 0 + 1)
        end = repeat(b, iterate, begin, iterations)
        return end.x, end.iterations, end.square, end.done, end.simulations

    return run
