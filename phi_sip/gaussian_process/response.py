"""How few values depend on a state, and what priors make of that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy import linalg

from .constants import Constants
from .mode_prior import ModePrior


@dataclass(frozen=True, eq=False)
class Spread:
    """
    The covariance that a prior gives the observed values, apart from constants, Q Qᵀ J C Jᵀ Q Qᵀ = V diag(λ) Vᵀ.

    Attributes:
        prior: C.
        variances: λ, shape (m,), not negative, of m = values − constants.
        directions: V, shape (values, m), in columns.
    """

    prior: ModePrior
    variances: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True, eq=False)
class Response:
    """
    y = y₀ + J x + n for the values that are observed.

    Attributes:
        rows: J, shape (values, columns of the state).
        offset: y₀, shape (values,).
        seen: Columns of an observation that these values are, shape (values,).
        spreads: What each of some priors makes of it.
        constants: Those that have no prior.
        observed: How many values depend on the state, of which these are all or a sample.
        rounding: How exact that is: least σ² that counts, in units of the largest variance of the signal.
    """

    rows: np.ndarray
    offset: np.ndarray
    seen: np.ndarray
    spreads: Sequence[Spread]
    constants: Constants
    observed: int
    rounding: float = 1e-13

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rows.nbytes + sum(spread.directions.nbytes for spread in self.spreads)

    @staticmethod
    def of(
        rows: np.ndarray,
        offset: np.ndarray,
        seen: np.ndarray,
        priors: Iterable[ModePrior],
        constants: Constants | None = None,
        rounding: float = 1e-13,
        observed: int | None = None,
    ) -> Response:
        """
        Returns the response with what the priors make of it.

        Args:
            rows, offset, seen, rounding: See above.
            priors: Priors.
            constants: Default: none.
            observed: Default: as many as there are rows.
        """
        free = Constants.none(rows) if constants is None else constants
        spreads, rest = [], free.rest
        for modes, alike in groupby(priors, lambda prior: prior.modes):
            coefficients = rest.T @ modes.transform(rows)
            spreads += [_spread(prior, coefficients, rest) for prior in alike]
        return Response(rows, offset, seen, spreads, free, len(rows) if observed is None else observed, rounding)


def _spread(prior: ModePrior, coefficients: np.ndarray, rest: np.ndarray) -> Spread:
    scaled = coefficients * np.sqrt(prior.power())
    covariance = linalg.blas.dsyrk(1.0, scaled.T, trans=1)
    variances, directions = linalg.eigh(covariance, lower=False, driver="evd", overwrite_a=True, check_finite=False)
    return Spread(prior, np.maximum(variances, 0.0), rest @ directions)
