"""Maximum a posteriori: the most likely state of a Gaussian field, for any differentiable physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phiml import math

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import Convergence, InverseSolver
from ..errors import UnsupportedError
from ..gaussian_process import Response
from ..regularization.field_grid import FieldGrid
from ..regularization.field_prior import FieldPrior
from ..states import trees
from ..states.checks import check_count, check_parameter
from .entries import physics_of_entries
from .filtered import check_filtered, filtered
from .gaussian_process import GaussianProcess, stacked_samples
from .law_fitting import LawFitting
from .least_squares import LeastSquares, run
from .linearized_posterior import LinearizedPosterior
from .noise_variance import told_variance
from .observed_response import observed_response, sides_of_state, state_grid
from .posterior_steps import WhitenedSolve, trial
from .rules import prior_of
from .split_search import SplitSearch
from .split_steps import SplitSolve
from .uneven_noise import solved_in_units_of_noise

SETTLED = 0.1  # change of σ² that is none, as a part of it


@dataclass(frozen=True)
class MaximumAPosteriori(InverseSolver):
    """
    The most likely state of a Gaussian field, for any differentiable physics and any number of observed values:

        x̃ = argmin ½ ‖P(x) − y*‖² / σ² + ½ xᵀ C⁻¹ x,   C = A Φ diag(S_k) Φᵀ
        S_k = (|k|² + τ²)^(−α)   or   Π_a (k_a² + τ²)^(−α)

    by Gauss–Newton steps in coordinates in which the prior is white, each by preconditioned conjugate gradients. Before
    each step, modes Φ, kind of power S_k, exponent α, scale τ, amplitude A and, unless the physics says it, σ are
    chosen for each batch entry by the marginal likelihood of a sample of its values, with P linearized. The field
    consists of cosines or sines per axis, on periodic axes of both. A constant that is observed has no prior, see
    `GaussianProcess`. Batch entries do not mix. The uncertainty is the standard deviation of the linearized posterior,
    from 64 draws where the prior is fitted to but a sample of the values.

    For linear physics one step is exact, further ones only settle σ, and x̃ is the mean of the posterior; where at most
    2,048 values are observed, it is that of `GaussianProcess`. For other physics it is the most likely state near x,
    and x only says where the steps begin. The prior is fitted on the processor, the steps are the framework's.

    It obeys the rule of the physics, if that needs no closed form:

        EmpiricalBayes()                  the above, also without a rule
        Wiener(S), Wiener.from_samples(x) S_k as given, in the modes of the boundary; σ is still fitted
        TotalVariation()                  argmin ½ ‖P(x) − y*‖² + λ Σ_a ‖D_a x‖₁, x ≥ minimum; γ and σ are those of C
        Tikhonov(), TruncatedSVD()        singular values of J in place of gains; linear P with up to 2,048 values

    λ, and the alternating directions that find the minimum, are those of the closed form, with conjugate gradients for
    x, see `SplitSolve`; the uncertainty is that of C. Of filters it is what noise makes of x̃.

    Args:
        iterations: Gauss–Newton steps, at most.
        inner_iterations: At most so many conjugate-gradient iterations for each.
        tolerance: Ends where a step changes x by less than this fraction.
        inner_tolerance: Of the conjugate gradients, for the gradient in units of the prior and of σ.
        values: If the physics is not linear, the prior is fitted to all observed values of a batch entry if these are
            at most so many, else to half as many of them.

    Raises:
        ParameterError: if an argument is out of range.
        UnsupportedError: when solving, if a state is no single field, if no observed value depends on it, if a filter
            is given too many of them, or within a graph.

    Source: Bui-Thanh, Ghattas, Martin, Stadler, "A Computational Framework for Infinite-Dimensional Bayesian Inverse
    Problems", SIAM J. Sci. Comput. 35, 2013, sections 3–5; MacKay, "Bayesian Interpolation", Neural Computation 4, 1992
    (evidence).
    """

    name: ClassVar[str] = "maximum-a-posteriori"
    on_host: ClassVar[bool] = True
    has_prior: ClassVar[bool] = True

    iterations: int = 8
    inner_iterations: int = 200
    tolerance: float = 1e-3
    inner_tolerance: float = 0.05
    values: int = 256

    def __post_init__(self) -> None:
        check_count("MaximumAPosteriori", "iterations", self.iterations)
        check_count("MaximumAPosteriori", "inner_iterations", self.inner_iterations)
        check_count("MaximumAPosteriori", "values", self.values)
        check_parameter("MaximumAPosteriori", "tolerance", self.tolerance)
        check_parameter("MaximumAPosteriori", "inner_tolerance", self.inner_tolerance)

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`. `stats` holds `noise_std`, σ as told or fitted."""
        if not all(leaf.available for tree in (y_target, x) for leaf in trees.leaves(tree)):
            raise UnsupportedError(
                "MaximumAPosteriori fits its prior on the processor, outside of graphs. Leave out compile=True."
            )
        weighted = solved_in_units_of_noise(self, physics, y_target, x, y)
        if weighted is not None:
            return weighted
        grid = state_grid(x)
        problem = LeastSquares.of(physics, y_target, x, y)
        told = told_variance(self, physics, problem, y_target)
        prior = prior_of(self, physics)
        known = _linear_responses(physics, x, problem, prior)
        target = problem.observations.pack(y_target)
        if prior.filter is not None:
            check_filtered(physics, known)
            return filtered(prior.filter, known, problem, target, x, told)
        is_exact = known and all(response.observed == len(response.rows) for response, _ in known)
        if is_exact and prior.edges is None:
            return GaussianProcess().solve(physics, y_target, x, y)
        solve = WhitenedSolve(grid.sizes, grid.axes, self.inner_iterations, self.inner_tolerance)
        fitting = LawFitting(problem, grid, target, known, self.values, prior, solve)
        found, posterior, convergence = self._search(fitting, problem.states.pack(x), told)
        if prior.edges is not None:
            steps = SplitSolve(FieldGrid(grid, sides_of_state(x)), prior.edges, self.inner_iterations)
            found, *columns = SplitSearch(steps, self.iterations, self.tolerance).run(found, target, posterior)
            convergence = _convergence(problem, *columns)
        return _correction(x, found, posterior, convergence, is_mean=prior.edges is None)

    def _search(
        self, fitting: LawFitting, x: Any, told: np.ndarray | None
    ) -> tuple[Any, LinearizedPosterior, Convergence]:
        """Returns the most likely states, native, what is known of them, and how the search ended."""
        problem, target, noise = fitting.problem, fitting.target, told
        iterations = simulations = square = np.zeros((int(x.shape[0]), 1))
        moving, converged = iterations == 0, iterations > 0
        for _ in range(self.iterations):
            posterior = fitting.at(x, noise)
            likely = posterior.most_likely(target)
            energy = problem.native(posterior.noise_energy)
            found, misfit, helped, tried = run(trial, trial, problem, x, likely.states, target, energy)
            square = np.where(moving, problem.numpy(misfit), square)
            iterations = iterations + moving
            simulations = simulations + moving * (likely.simulations + problem.numpy(tried))
            is_small = problem.numpy(problem.square(found - x) <= self.tolerance**2 * problem.square(found)) > 0
            has_helped, is_settled = (problem.numpy(helped) > 0) | (problem.numpy(misfit) == 0), True
            if told is None and (left := posterior.noise_left(likely)) is not None:
                before = posterior.noise_variance[:, 0]
                is_settled = (np.abs(left - before) <= SETTLED * before + fitting.rounding)[:, None]
                noise = np.where(moving[:, 0], left, before)
            x = problem.backend.where(problem.backend.as_tensor(moving), found, x)
            converged = converged | (moving & has_helped & (is_small | problem.physics.is_linear) & is_settled)
            moving = moving & has_helped & ~converged
            if not moving.any():
                break
        return x, posterior, _convergence(problem, iterations, square, converged, simulations)


def _linear_responses(
    physics: InvertiblePhysics, x: Any, problem: LeastSquares, prior: FieldPrior
) -> Sequence[tuple[Response, np.ndarray]]:
    """Returns how the values of entries depend on the state, and of which, if that is the same for all states."""
    if not physics.is_linear:
        return ()
    entries = physics_of_entries(physics, problem.states.entries)
    return [(observed_response(own, x, prior), places) for own, places in entries]


def _correction(
    x: Any, found: Any, posterior: LinearizedPosterior, convergence: Convergence, *, is_mean: bool
) -> Correction:
    """
    Returns the correction to the states found.

    Args:
        x: States to be corrected.
        found: What they become, native.
        posterior: That of the Gaussian prior.
        convergence: How they were found.
        is_mean: Whether they are its mean, so that its states are draws.
    """
    problem = posterior.problem
    noise_std = problem.per_entry(problem.native(np.sqrt(posterior.noise_variance)))
    stats = {**convergence.stats(), "noise_std": noise_std}

    def draw(count: int, generator: np.random.Generator) -> Any:
        errors = np.moveaxis(posterior.errors(count, generator), 1, 0)
        return stacked_samples([problem.states.unpack(found + problem.native(error)) for error in errors])

    return Correction(
        trees.subtract(problem.states.unpack(found), x),
        lambda: problem.states.unpack(problem.native(posterior.deviation())),
        stats,
        draw if is_mean else None,
    )


def _convergence(problem: LeastSquares, *columns: np.ndarray) -> Convergence:
    iterations, square, converged, simulations = (problem.per_entry(problem.native(column)) for column in columns)
    return Convergence(math.to_int32(iterations), 0.5 * square, math.cast(converged, bool), math.to_int32(simulations))


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [MaximumAPosteriori]
