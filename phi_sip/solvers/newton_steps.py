"""What iterations on ½ ‖P(x) − y*‖² share: what they start from, when they stop, and what they report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from phiml import math

from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import Convergence
from ..states import trees
from .least_squares import Algorithm, LeastSquares, run

BACKTRACKING = 10  # halvings of a step that does not help
CONFIDENCE = (
    2.0  # standard deviations of ‖n‖² above its mean: less could be out of reach, and chasing it amplifies noise
)


def minimize(
    method: Any, make: Callable[[LeastSquares], Algorithm], physics: InvertiblePhysics, y_target: Any, x: Any, y: Any
) -> Correction:
    """
    Runs an algorithm on native matrices, and makes its result a correction.

    Args:
        method: The solver, whose options the algorithm has.
        make: Builds the algorithm: (x, y_target, ‖n‖²) ↦ (x̃, iterations, ‖P(x̃) − y*‖², converged, simulations), with
            one row per batch entry; ‖n‖² is what the noise may explain, two standard deviations above its mean.
        physics, y_target, x, y: See `InverseSolver.solve`.
    """
    problem = LeastSquares.of(physics, y_target, x, y)
    noise = physics.noise_energy(y)
    margin = 1 + CONFIDENCE * float(np.sqrt(2 / problem.observations.size))
    start = problem.states.pack(x)
    energy = math.convert(math.wrap(0.0) if noise is None else noise * margin, problem.backend)
    rows = math.expand(math.cast(energy, math.DType(float, problem.precision)), problem.states.entries)
    column = problem.backend.reshape(rows.native([problem.states.entries]), (-1, 1))
    is_traced = not all(leaf.available for tree in (x, y_target) for leaf in trees.leaves(tree))
    target = problem.observations.pack(y_target)
    ended = make(problem)(start, target, column) if is_traced else run(make, method, problem, start, target, column)
    found, iterations, square, converged, simulations = ended

    def per_entry(native: Any) -> Any:
        flat = problem.backend.reshape(native, (-1,))
        return math.reshaped_tensor(flat, [problem.states.entries], convert=False)

    convergence = Convergence(
        math.to_int32(per_entry(iterations)),
        0.5 * per_entry(square),
        math.cast(per_entry(converged), bool),
        math.to_int32(per_entry(simulations)),
    )
    return Correction(trees.subtract(problem.states.unpack(found), x), stats=convergence.stats())


def misfit_goal(problem: LeastSquares, square: Any, target: Any, noise: Any, tolerance: float) -> Any:
    """
    The misfit ‖P(x) − y*‖² at which a row has converged: what noise or rounding explain, or a fraction of the first.

    Args:
        square: First misfit.
        target, noise: y* and what the noise may explain.
        tolerance: Fraction of the first residual ‖P(x) − y*‖.
    """
    rounding = 4 * float(np.finfo(f"float{problem.precision}").eps)
    unavoidable = problem.backend.maximum(noise * (1 + 1e-6), rounding**2 * problem.square(target))
    return problem.backend.maximum(unavoidable, tolerance**2 * square)


def backtrack(problem: LeastSquares, x: Any, step: Any, target: Any, square: Any, noise: Any) -> tuple[Any, ...]:
    """
    The longest of step, step/2, step/4, … that lowers the misfit, or brings it to what the noise explains; else 0.

    Returns:
        x after the step, ‖P(x) − y*‖² there, which rows moved, and how many simulations each row took.
    """
    b = problem.backend

    def attempt(searching: Any, length: Any, found: Any, least: Any, count: Any) -> tuple[Any, ...]:
        tried = x + length * step
        misfit = problem.square(target - problem.forward(tried))
        good = searching & ((misfit < square) | (misfit <= noise))
        found, least = b.where(good, tried, found), b.where(good, misfit, least)
        count = count + b.cast(searching, b.dtype(count))
        return searching & ~good, 0.5 * length, found, least, count

    everywhere = square == square
    start = (everywhere, square * 0 + 1, x, square, square * 0)
    searching, _, found, least, count = b.while_loop(attempt, start, BACKTRACKING)
    return found, least, ~searching, count


Direction = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def descend(problem: LeastSquares, iterations: int, tolerance: float, direction: Direction) -> Algorithm:
    """
    x ← x + d/2^i again and again, i from `backtrack`, until a row has converged or no length helps.

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

        def iterate(moving: Any, x: Any, square: Any, done: Any, count: Any, simulations: Any) -> tuple[Any, ...]:
            step, products = direction(x, square, target, noise)
            found, least, moved, attempts = backtrack(problem, x, step, target, square, noise)
            small = problem.square(found - x) <= tolerance**4 * problem.square(found)
            x, square = b.where(moving, found, x), b.where(moving, least, square)
            done = done | (moving & ((moved & small) | (square <= goal)))
            now = b.cast(moving, b.dtype(count))
            count, simulations = count + now, simulations + now * (products + attempts)
            return moving & moved & ~done, x, square, done, count, simulations

        done = first <= goal
        begin = (~done, start, first, done, first * 0, first * 0 + 1)
        _, x, square, done, count, simulations = b.while_loop(iterate, begin, iterations)
        return x, count, square, done, simulations

    return run
