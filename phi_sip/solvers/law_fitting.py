"""The Gaussian law that each batch entry of an observation itself speaks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..gaussian_process import Constants, FieldLaw, ModePrior, Posterior, Posteriors, Response, StateGrid, fitted
from ..regularization.field_prior import FieldPrior
from .least_squares import LeastSquares
from .linearized_posterior import ExactPosterior, IterativePosterior, LinearizedPosterior, WhiteningOfEntry
from .local_response import local_responses
from .observed_response import ROUNDING
from .posterior_steps import WhitenedSolve

FITS = 2  # that weigh all priors; later ones only what was likely before


@dataclass(frozen=True, eq=False)
class LawFitting:
    """
    Fits priors and σ to each batch entry, by the marginal likelihood of its values or a sample of them.

    Attributes:
        problem: What is observed.
        grid: That of the states.
        target: y*, native, shape (entries, values).
        known: How values of some entries depend on the state, and which entries, if that is the same for all states.
        most: How many values of each entry may count if it is not, see `local_responses`.
        prior: That of the rule of the physics.
        solve: What finds the most likely state where but a sample of the values has been linearized.
    """

    problem: LeastSquares
    grid: StateGrid
    target: Any
    known: Sequence[tuple[Response, np.ndarray]]
    most: int
    prior: FieldPrior
    solve: WhitenedSolve
    _likely: list[Sequence[Sequence[ModePrior]]] = field(default_factory=list, init=False, repr=False)

    @cached_property
    def rounding(self) -> np.ndarray:
        """σ² of each entry that is but rounding, shape (entries,)."""
        part = ROUNDING.get(self.problem.precision, ROUNDING[32])
        rounding: np.ndarray = part * (self.problem.numpy(self.target) ** 2).mean(1) + np.finfo(float).tiny
        return rounding

    def at(self, x: Any, noise: np.ndarray | None) -> LinearizedPosterior:
        """
        Returns the posterior with P linearized at x.

        Args:
            x: States, native, shape (entries, columns).
            noise: σ² of each entry, shape (entries,); `None`: fitted too.
        """
        parts = []
        for response, places, values in self._observed(x):
            own = None if noise is None else noise[places]
            parts.append((response, places, values, fitted(response, values, own, response.rounding)))
        self._likely.append([[one.spread.prior for one in explanations] for *_, explanations in parts])
        observed = np.zeros(len(self.problem.numpy(x)))
        for response, places, *_ in parts:
            observed[places] = response.observed
        if all(len(response.rows) == response.observed for response, *_ in parts):
            exact = [(places, Posterior.of(response, fit, values)) for response, places, values, fit in parts]
            return ExactPosterior(self.problem, x, observed, Posteriors(exact))
        entries: dict[int, WhiteningOfEntry] = {}
        for response, places, values, fit in parts:
            for place, law, own in zip(places, FieldLaw.all_of(fit, len(values)), values, strict=True):
                entries[int(place)] = WhiteningOfEntry.of(law, response, own, self.grid)
        ordered = [entries[place] for place in sorted(entries)]
        return IterativePosterior(self.problem, x, observed, ordered, self.solve)

    def _observed(self, x: Any) -> Iterator[tuple[Response, np.ndarray, np.ndarray]]:
        """Yields how values depend on the state, of which entries, and y* − y₀ of these."""
        rows = self.problem.numpy(self.target)
        for response, places in self.known:
            yield response, places, rows[places][:, response.seen] - response.offset
        if self.known:
            return
        rounding = ROUNDING.get(self.problem.precision, ROUNDING[32])
        state, gaussian = self.problem.states.template, self.prior.gaussian
        is_free = gaussian.frees_constant(state)
        for entry, local in enumerate(local_responses(self.problem, x, self.target, self.most)):
            is_first = len(self._likely) < FITS
            priors = gaussian.priors(self.grid, state) if is_first else self._likely[-1][entry]
            constants = Constants.of(self.grid, local.rows) if is_free else Constants.none(local.rows)
            offset = local.values * 0
            response = Response.of(local.rows, offset, local.seen, priors, constants, rounding, local.observed)
            yield response, np.array([entry]), local.values[None]
