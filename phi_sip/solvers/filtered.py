"""States by filters of the singular values of linear physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..contract.physics import Correction, InvertiblePhysics
from ..errors import UnsupportedError
from ..gaussian_process import Response, fitted
from ..regularization.field_filter import FieldFilter
from ..states import trees
from .least_squares import LeastSquares
from .observed_response import LARGEST


@dataclass(frozen=True, eq=False)
class Filtered:
    """
    x̃ = E b + Jᵀ V diag(f_i / s_i²) Vᵀ d of observations d = J x + n that depend on their states alike, without what
    constants explain, see `Constants`; they are free, as in closed forms.

    Attributes:
        response: J, with one spread, whose variances are s² and directions V.
        values: d, shape (rows, values).
        factors: f, shape (rows, values − constants).
        alpha: α, shape (rows,).
        noise_variance: σ², shape (rows,).
    """

    response: Response
    values: np.ndarray
    factors: np.ndarray
    alpha: np.ndarray
    noise_variance: np.ndarray

    @staticmethod
    def of(
        rule: FieldFilter, response: Response, values: np.ndarray, noise: np.ndarray | None, epsilon: float
    ) -> Filtered:
        """
        Chooses the parameter of each observation, and filters it. Where σ is not known it is that of the evidence of a
        prior in which all modes are alike.
        """
        (spread,), constants = response.spreads, response.constants
        if noise is None:
            (explanation,) = fitted(response, values, None, response.rounding)
            noise = explanation.noise_variance[:, 0]
        unit = max([spread.variances.max(), *(1 / (constants.states**2).sum(1))])
        coefficients = values @ spread.directions
        chosen = rule.chosen(spread.variances, coefficients, unit, noise, response.rounding, epsilon)
        return Filtered(response, values, *chosen, noise)

    @property
    def states(self) -> np.ndarray:
        """x̃, shape (rows, columns)."""
        spread = self.response.spreads[0]
        left = (self.values @ spread.directions) * self._weights @ spread.directions.T
        states: np.ndarray = self.response.constants.added(left @ self.response.rows, self.values)
        return states

    @property
    def deviation(self) -> np.ndarray:
        """What noise makes of x̃, its standard deviation, shape (rows, columns). The bias is no part of it."""
        constants, spread = self.response.constants, self.response.spreads[0]
        directions = constants.added(spread.directions.T @ self.response.rows)
        squares = self._weights**2 @ directions**2 + constants.variance()
        deviation: np.ndarray = np.sqrt(self.noise_variance[:, None] * squares)
        return deviation

    @cached_property
    def _weights(self) -> np.ndarray:
        """f_i / s_i²; 0 where s is but rounding."""
        squares = self.response.spreads[0].variances
        seen = squares > self.response.rounding * squares.max()
        weights: np.ndarray = self.factors * seen / np.where(seen, squares, 1.0)
        return weights


def filtered(
    rule: FieldFilter,
    known: Sequence[tuple[Response, np.ndarray]],
    problem: LeastSquares,
    target: Any,
    x: Any,
    told: np.ndarray | None,
) -> Correction:
    """
    Returns the correction of x by a filter.

    Args:
        rule: The filter.
        known: How values of entries depend on the state, and of which.
        problem: What is observed.
        target: y*, native.
        x: States.
        told: σ² of each entry; `None`: not known.
    """
    rows, epsilon = problem.numpy(target), float(np.finfo(f"float{problem.precision}").eps)
    parts = [
        Filtered.of(rule, r, rows[places][:, r.seen] - r.offset, None if told is None else told[places], epsilon)
        for r, places in known
    ]
    order = np.argsort(np.concatenate([places for _, places in known]))

    def whole(found: Sequence[np.ndarray]) -> Any:
        return problem.native(np.concatenate(found)[order])

    stats = {
        "alpha": problem.per_entry(whole([part.alpha[:, None] for part in parts])),
        "noise_std": problem.per_entry(whole([np.sqrt(part.noise_variance)[:, None] for part in parts])),
    }
    dx = trees.subtract(problem.states.unpack(whole([part.states for part in parts])), x)
    return Correction(dx, lambda: problem.states.unpack(whole([part.deviation for part in parts])), stats)


def check_filtered(physics: InvertiblePhysics, known: Sequence[tuple[Response, np.ndarray]]) -> None:
    """Raises `UnsupportedError` if too many values are observed to filter them."""
    most = max(response.observed for response, _ in known)
    if any(response.observed > len(response.rows) for response, _ in known):
        raise UnsupportedError(
            f"{physics.rule_of_state!r} filters singular values, of which it takes at most {LARGEST}, but "
            f"{type(physics).__name__} observes {most} values. Give EmpiricalBayes(), or observe fewer."
        )
