"""The Gaussian law that each batch entry of an observation itself speaks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..gaussian_process import FieldLaw, Posterior, Prior, Response, StateGrid, fitted, priors_of
from .least_squares import LeastSquares
from .linearized_posterior import ExactPosterior, IterativePosterior, LinearizedPosterior
from .local_response import local_responses
from .observed_response import ROUNDING
from .posterior_steps import WhitenedSolve

FITS = 2  # that weigh all priors; later ones only what was likely before
SHELLS = 32  # of wave numbers, in which the preconditioner is the same


@dataclass(frozen=True, eq=False)
class LawFitting:
    """
    Fits priors and σ to each batch entry, by the marginal likelihood of its values or a sample of them.

    Attributes:
        problem: What is observed.
        grid: That of the states.
        target: y*, native, shape (entries, values).
        told: σ² of each entry, shape (entries,); `None`: fitted too.
        known: How values depend on the state, if that is the same for all states and batch entries.
        sample: How many values of each entry count if it is not.
        solve: What finds the most likely state where but a sample of the values has been linearized.
    """

    problem: LeastSquares
    grid: StateGrid
    target: Any
    told: np.ndarray | None
    known: Response | None
    sample: int
    solve: WhitenedSolve
    _likely: list[Sequence[Sequence[Prior]]] = field(default_factory=list, init=False, repr=False)

    def at(self, x: Any) -> LinearizedPosterior:
        """Returns the posterior with P linearized at x, native, shape (entries, columns)."""
        responses, fits, counts = [], [], []
        for response, values, told in self._observed(x):
            responses.append(response)
            fits.append((fitted(response, values, told, response.rounding), values))
            counts += [response.observed] * len(values)
        self._likely.append([[one.spread.prior for one in explanations] for explanations, _ in fits])
        observed = np.array(counts)
        if all(len(response.rows) == response.observed for response in responses):
            posteriors = [Posterior.of(r, e, values) for r, (e, values) in zip(responses, fits, strict=True)]
            return ExactPosterior(self.problem, x, observed, posteriors)
        found = [
            (law, _preconditioner(law, response))
            for response, (explanations, values) in zip(responses, fits, strict=True)
            for law in FieldLaw.all_of(explanations, len(values))
        ]
        laws, preconditioners = zip(*found, strict=True)
        return IterativePosterior(self.problem, x, observed, laws, np.stack(preconditioners), self.solve)

    def _observed(self, x: Any) -> Sequence[tuple[Response, np.ndarray, np.ndarray | None]]:
        """Returns how values depend on the state, y* − y₀ of them, and σ², for all entries or one by one."""
        if self.known is not None:
            values = self.problem.numpy(self.target)[:, self.known.seen] - self.known.offset
            return [(self.known, values, self.told)]
        rounding = ROUNDING.get(self.problem.precision, ROUNDING[32])
        found = []
        for entry, local in enumerate(local_responses(self.problem, x, self.target, self.sample)):
            priors = self._likely[-1][entry] if len(self._likely) >= FITS else priors_of(self.grid)
            response = Response.of(local.rows, local.values * 0, local.seen, priors, rounding, local.observed)
            told = None if self.told is None else self.told[entry : entry + 1]
            found.append((response, local.values[None], told))
        return found


def _preconditioner(law: FieldLaw, response: Response) -> np.ndarray:
    """Computes D^(−¼) from a sample of the rows of J, averaged over shells of wave numbers."""
    squares = (law.modes.transform(response.rows) ** 2).sum(0) * (response.observed / len(response.rows))
    k = np.sqrt(law.modes.k_squared())
    shell = np.minimum((k / max(k.max(), np.finfo(float).tiny) * SHELLS).astype(int), SHELLS - 1)
    mean = np.bincount(shell, squares, SHELLS) / np.maximum(np.bincount(shell, minlength=SHELLS), 1)
    root: np.ndarray = (1 + law.power * mean[shell] / law.noise_variance) ** -0.25
    return root
