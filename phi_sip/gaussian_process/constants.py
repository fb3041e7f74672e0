"""The constant of a state, about which no prior says anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .grid import StateGrid
from .mode_prior import ModePrior

SEEN = 0.1  # least response to a constant, in units of the mean response to a mode
FREE = 0.5  # part of a constant that is determined, at least, to have no prior
LEFT = 2  # values that must remain to fit a prior to


@dataclass(frozen=True, eq=False)
class Constants:
    """
    Constants E b that are added to a field f, and have no prior:

        x = E b + f,   d = J x + n = U b + J f + n,   U = J E,   Uᵀ U = I

    A constant and a field whose observations are one are the same, so that f may be replaced by what observations tell
    apart from constants: f ← f − E Uᵀ J f. Then b = Uᵀ (d − n), and f depends on the rest of d, Qᵀ d, alone.

    Attributes:
        states: Eᵀ, shape (constants, columns of the state).
        values: U, shape (values, constants).
        observed: Uᵀ J, shape (constants, columns).

    Source: Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, section 2.7 (explicit basis functions
    in the limit of a vague prior); Patterson, Thompson, "Recovery of inter-block information when block sizes are
    unequal", Biometrika 58, 1971 (likelihood of the rest).
    """

    states: np.ndarray
    values: np.ndarray
    observed: np.ndarray

    @staticmethod
    def none(rows: np.ndarray) -> Constants:
        """Returns those of states that have no free constant."""
        nothing = np.zeros((0, rows.shape[1]))
        return Constants(nothing, np.zeros((len(rows), 0)), nothing)

    @staticmethod
    def of(grid: StateGrid, rows: np.ndarray) -> Constants:
        """
        Returns the constants that observations determine, one for each component of a state; none where as good as no
        value depends on them, or too few values are left for the rest.

        Args:
            grid: Grid of the state.
            rows: J, shape (values, columns).
        """
        units = _units(grid)
        values, sizes, directions = np.linalg.svd(rows @ units.T, full_matrices=False)
        seen = sizes > SEEN * np.linalg.norm(rows) / np.sqrt(rows.shape[1])
        if len(rows) < seen.sum() + LEFT:
            return Constants.none(rows)
        states = (directions[seen] / sizes[seen, None]) @ units
        return Constants(states, values[:, seen], values[:, seen].T @ rows)

    def units(self, grid: StateGrid) -> np.ndarray:
        """
        Returns the constant of each component, of norm 1, shape (components, columns); 0 for those that are not free.

        Args:
            grid: Grid of the state.
        """
        units = _units(grid)
        directions = np.linalg.svd(self.states, full_matrices=False)[2]
        free: np.ndarray = units * (np.linalg.norm(units @ directions.T, axis=1, keepdims=True) > FREE)
        return free

    @property
    def rest(self) -> np.ndarray:
        """Q, orthonormal columns that no constant is seen in, shape (values, values − constants)."""
        count = self.values.shape[1]
        rest: np.ndarray = linalg.qr(self.values)[0][:, count:] if count else np.eye(len(self.values))
        return rest

    def added(self, fields: np.ndarray, values: np.ndarray | float = 0.0) -> np.ndarray:
        """
        Computes E Uᵀ d + f − E Uᵀ J f.

        Args:
            fields: f, shape (n, columns).
            values: d, shape (n, values), or 0.
        """
        known = values @ self.values if isinstance(values, np.ndarray) else 0.0
        states: np.ndarray = fields + (known - fields @ self.observed.T) @ self.states
        return states

    def variance_without(self, prior: ModePrior) -> np.ndarray:
        """Computes the variance of f − E Uᵀ J f for fields of a prior with A = 1, per column."""
        shared = prior.apply(self.observed)
        own = ((shared @ self.observed.T) @ self.states - 2 * shared) * self.states
        variance: np.ndarray = prior.variance() + own.sum(0)
        return variance

    def variance(self) -> np.ndarray:
        """Computes the variance of E b per column, for noise of σ = 1."""
        variance: np.ndarray = (self.states**2).sum(0)
        return variance


def _units(grid: StateGrid) -> np.ndarray:
    """Returns the constant of each component, of norm 1, shape (components, columns)."""
    others = [i for i in range(len(grid.sizes)) if i not in grid.axes]
    index = np.zeros(grid.sizes, int)
    for i in others:
        shape = [-1 if j == i else 1 for j in range(len(grid.sizes))]
        index = index * grid.sizes[i] + np.arange(grid.sizes[i]).reshape(shape)
    units = (index.reshape(-1) == np.arange(index.max() + 1)[:, None]).astype(float)
    normed: np.ndarray = units / np.linalg.norm(units, axis=1, keepdims=True)
    return normed
