"""Gaussian process regression: the inverse of linear physics from few observed values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.math import batch

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import UnsupportedError
from ..gaussian_process import Posterior, Posteriors, Response, fitted
from ..states import trees
from .entries import physics_of_entries
from .least_squares import LeastSquares, check_linear
from .noise_variance import told_variance
from .observed_response import LARGEST, observed_response
from .rules import prior_of
from .uneven_noise import solved_in_units_of_noise


@dataclass(frozen=True)
class GaussianProcess(InverseSolver):
    """
    Posterior mean of a Gaussian field, for linear physics of which few values are observed, y = y₀ + J x + n:

        x̃ = b + C Jᵀ (J C Jᵀ + σ² I)⁻¹ (y* − y₀ − J b),   C = A Φ diag(S_k) Φᵀ
        S_k = (|k|² + τ²)^(−α)   or   Π_a (k_a² + τ²)^(−α)

    The constant b of each component is that of generalized least squares; it is 0 where the values do not depend on it,
    or are fewer than two more. The field consists of cosines or sines per axis, on periodic axes of both. Modes,
    exponent α, scale τ, amplitude A and, unless the physics says it, σ are chosen for each observation by its marginal
    likelihood, averaged over what it leaves open. Where the physics says a σ of each value, values are taken in units
    of it. x̃ depends on y* alone. Batch entries do not mix. The uncertainty is the standard deviation of the posterior,
    of which `SipStep.posterior_samples` draws states.

    It costs one vector–Jacobian product for each observed value, and n² and n³ operations for n values, once for each
    physics: what is found is kept. Where fields of the physics have batch dims, that is once for each entry. After
    that, an observation takes milliseconds. It runs on the processor, in double precision, whatever the framework; J is
    found in double precision too, if the physics can, else in that of the data.

    Raises:
        UnsupportedError: when solving, if the physics is not linear or a function of its own differs between batch
            entries, if a state is no single field, if more than 2,048 values are observed, or within a graph.

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5.
    """

    name: ClassVar[str] = "gaussian-process"
    on_host: ClassVar[bool] = True
    has_prior: ClassVar[bool] = True

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`. `stats` holds `noise_std`, σ as told or fitted."""
        check_linear(self, physics)
        if not all(leaf.available for tree in (y_target, x) for leaf in trees.leaves(tree)):
            raise UnsupportedError("GaussianProcess runs on the processor, outside of graphs. Leave out compile=True.")
        weighted = solved_in_units_of_noise(self, physics, y_target, x, y)
        if weighted is not None:
            return weighted
        prior = prior_of(self, physics)
        if prior.edges is not None or prior.filter is not None:
            raise UnsupportedError(
                f"GaussianProcess computes means of Gaussian posteriors, but the rule of {type(physics).__name__} is "
                f"{physics.rule_of_state!r}. Use solver='maximum-a-posteriori', or leave out solver=..."
            )
        problem = LeastSquares.of(physics, y_target, x, y)
        rows, noise = (
            problem.numpy(problem.observations.pack(y_target)),
            told_variance(self, physics, problem, y_target),
        )
        found = Posteriors(
            [
                (
                    places,
                    _posterior(
                        observed_response(own, x, prior), rows[places], None if noise is None else noise[places]
                    ),
                )
                for own, places in physics_of_entries(physics, problem.states.entries)
            ]
        )

        def state(columns: np.ndarray) -> Any:
            native = problem.backend.as_tensor(columns.astype(f"float{problem.precision}"))
            return problem.states.unpack(native)

        noise_std = problem.per_entry(problem.backend.as_tensor(np.sqrt(found.noise_variance)[:, None]))

        def draw(count: int, generator: np.random.Generator) -> Any:
            return stacked_samples([state(columns) for columns in np.moveaxis(found.draw(count, generator), 1, 0)])

        return Correction(
            trees.subtract(state(found.mean), x),
            lambda: state(np.sqrt(found.variance())),
            {"noise_std": noise_std},
            draw,
        )


def stacked_samples(states: Sequence[Any]) -> Any:
    """Returns states of the posterior as one."""
    return trees.tree_map(lambda *each: math.stack([*each], batch("posterior_samples")), *states)


def _posterior(response: Response, rows: np.ndarray, noise: np.ndarray | None) -> Posterior:
    """Computes the posterior of observations y*, given as rows, with σ² where it is known."""
    if response.observed > len(response.rows):
        raise UnsupportedError(
            f"GaussianProcess: {response.observed} values are observed, but it is for at most {LARGEST}, as it takes "
            f"an adjoint for each. Use solver='maximum-a-posteriori', which samples them, or observe fewer."
        )
    values = rows[:, response.seen] - response.offset
    return Posterior.of(response, fitted(response, values, noise, response.rounding), values)


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [GaussianProcess]
