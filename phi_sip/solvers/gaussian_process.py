"""Gaussian process regression: the inverse of linear physics from few observed values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.math import Tensor, batch

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import UnsupportedError
from ..gaussian_process import Posterior, fitted
from ..states import trees
from ..states.checks import check_count
from .least_squares import LeastSquares, check_linear
from .noise_variance import told_variance
from .observed_response import LARGEST, observed_response


@dataclass(frozen=True)
class GaussianProcess(InverseSolver):
    """
    Posterior mean of a Gaussian field, for linear physics of which few values are observed, y = y₀ + J x + n:

        x̃ = C Jᵀ (J C Jᵀ + σ² I)⁻¹ (y* − y₀),   C = A Φ diag((|k|² + τ²)^(−α)) Φᵀ

    The field consists of cosines or sines per axis, on periodic axes of both. Modes, exponent α, scale τ, amplitude A
    and, unless the physics says it, σ are chosen for each observation by its marginal likelihood, averaged over what
    it leaves open. x̃ depends on y* alone. Batch entries do not mix. The uncertainty is the standard deviation of the
    posterior.

    It costs one vector–Jacobian product for each observed value, and n² and n³ operations for n values, once for each
    physics: what is found is kept. After that, an observation takes milliseconds. It runs on the processor, in double
    precision, whatever the framework; J is found in double precision too, if the physics can, else in that of the data.

    Args:
        posterior_samples: How many states of the posterior are drawn for each observation, by NumPy's global random
            numbers: `stats["posterior_samples"]`, with a batch dim of that name. 0: none.

    Raises:
        ParameterError: if `posterior_samples` is no number of samples.
        UnsupportedError: when solving, if the physics is not linear or differs between batch entries, if a state is no
            single field, if more than 2,048 values are observed, or within a graph.

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5.
    """

    name: ClassVar[str] = "gaussian-process"
    on_host: ClassVar[bool] = True

    posterior_samples: int = 0

    def __post_init__(self) -> None:
        if self.posterior_samples != 0:
            check_count("GaussianProcess", "posterior_samples", self.posterior_samples)

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`. `stats` holds `noise_std`, σ as told or fitted."""
        check_linear(self, physics)
        if not all(leaf.available for tree in (y_target, x) for leaf in trees.leaves(tree)):
            raise UnsupportedError("GaussianProcess runs on the processor, outside of graphs. Leave out compile=True.")
        problem = LeastSquares.of(physics, y_target, x, y)
        response = observed_response(physics, x)
        if response.observed > len(response.rows):
            raise UnsupportedError(
                f"GaussianProcess: {response.observed} values are observed, but it is for at most {LARGEST}, as it "
                f"takes an adjoint for each. Use solver='maximum-a-posteriori', which samples them, or observe fewer."
            )
        rows = problem.numpy(problem.observations.pack(y_target))
        values = rows[:, response.seen] - response.offset
        explanations = fitted(response, values, told_variance(self, physics, problem, y_target), response.rounding)
        found = Posterior.of(response, explanations, values)

        def state(columns: np.ndarray) -> Any:
            native = problem.backend.as_tensor(columns.astype(f"float{problem.precision}"))
            return problem.states.unpack(native)

        noise_std = problem.per_entry(problem.backend.as_tensor(np.sqrt(found.noise_variance)[:, None]))
        stats = {"noise_std": noise_std}
        if self.posterior_samples:
            stats["posterior_samples"] = self._drawn(found, state)
        return Correction(trees.subtract(state(found.mean), x), lambda: state(np.sqrt(found.variance())), stats)

    def _drawn(self, found: Posterior, state: Callable[[np.ndarray], Any]) -> Tensor:
        """Returns states of the posterior as one tensor."""
        rng = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002
        drawn = np.moveaxis(found.draw(self.posterior_samples, rng), 1, 0)
        (first, *others) = [trees.leaves(state(columns))[0] for columns in drawn]
        stacked: Tensor = math.stack([first, *others], batch("posterior_samples"))
        return stacked


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [GaussianProcess]
