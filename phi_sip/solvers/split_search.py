"""From the mean of a Gaussian posterior to the most likely state for a prior on what is split off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..gaussian_process import GridModes
from .least_squares import LeastSquares, run
from .linearized_posterior import LinearizedPosterior, modes_per_axis, shell_means
from .posterior_steps import trial
from .split_steps import SplitSolve

PROBES = 8  # random observations, by which the curvature is known
EXPLAINED = 1.2  # times the misfit of the linearization is as good as that


class Found(NamedTuple):
    """
    States, and how they were found.

    Attributes:
        states: Native, shape (entries, columns).
        iterations: How many the alternating directions made, shape (entries, 1), as all others.
        square: ‖y* − P(x̃)‖².
        converged: Whether x came to rest.
        simulations: Evaluations of P and products.
    """

    states: Any
    iterations: np.ndarray
    square: np.ndarray
    converged: np.ndarray
    simulations: np.ndarray


@dataclass(frozen=True, eq=False)
class SplitSearch:
    """
    Gauss–Newton steps to the most likely state, each by `SplitSolve`.

    Attributes:
        solve: The step.
        iterations: At most so many; one if the physics is linear.
        tolerance: Ends where a step changes x by less than this fraction.
    """

    solve: SplitSolve
    iterations: int
    tolerance: float

    def run(self, x: Any, target: Any, posterior: LinearizedPosterior) -> Found:
        """
        Returns the most likely states.

        Args:
            x: Mean of the Gaussian posterior, native.
            target: y*, native.
            posterior: What is known of it.
        """
        problem, is_linear = posterior.problem, posterior.problem.physics.is_linear
        b, energy = problem.backend, problem.native(posterior.noise_energy)
        curvature = _curvature(problem, x, self.solve.grid.modes)
        constants = self._constants(x, curvature, posterior)
        count = simulations = square = np.zeros((int(x.shape[0]), 1))
        moving, converged = count == 0, count > 0
        for _ in range(1 if is_linear else self.iterations):
            likely, left, inner, rests, products = run(
                self.solve.answer, self.solve, problem, x, target, problem.native(curvature), *constants
            )
            allowed = b.maximum(energy, EXPLAINED * left)
            found, misfit, helped, tried = run(trial, trial, problem, x, likely, target, allowed)
            square = np.where(moving, problem.numpy(misfit), square)
            count = count + moving * problem.numpy(inner)
            simulations = simulations + moving * (PROBES + problem.numpy(products) + problem.numpy(tried))
            is_small = problem.square(found - x) <= self.tolerance**2 * problem.square(found)
            has_helped, settled = problem.numpy(helped) > 0, problem.numpy(rests if is_linear else is_small) > 0
            x = b.where(b.as_tensor(moving), found, x)
            converged = converged | (moving & has_helped & settled)
            moving = moving & has_helped & ~converged
            if not moving.any():
                break
            curvature = _curvature(problem, x, self.solve.grid.modes)
        return Found(x, count, square, converged, simulations)

    def _constants(self, x: Any, curvature: np.ndarray, posterior: LinearizedPosterior) -> list[Any]:
        """Returns what all steps are given: σ², γ, λ/ρ, |A|² and the modes, native."""
        problem, edges, grid = posterior.problem, self.solve.edges, self.solve.grid
        modes = grid.modes
        weights = (modes.k_squared() > 0) * curvature / curvature.max(1, keepdims=True)
        size = np.sqrt((weights * modes.transform(problem.numpy(x)) ** 2).mean(1, keepdims=True))
        unit = edges.unit(np.where(size > 0, size, 1.0))
        given = posterior.noise_variance, np.maximum(posterior.followed(), 1.0), unit, edges.curvature(grid)[None]
        return [problem.native(rows) for rows in (*given, *modes_per_axis(modes))]


def _curvature(problem: LeastSquares, x: Any, modes: GridModes) -> np.ndarray:
    """Computes about diag(Φ JᵀJ Φᵀ), shape (entries, columns), from random observations, by shells of wave numbers."""
    _, _, pull = problem.linearize(x)
    rng, total = np.random.default_rng(0), np.zeros((int(x.shape[0]), problem.states.size))
    for _ in range(PROBES):
        probe = np.tile(rng.standard_normal(problem.observations.size), (len(total), 1))
        total += modes.transform(problem.numpy(pull(problem.native(probe)))) ** 2
    return np.stack([shell_means(modes, row / PROBES) for row in total])
