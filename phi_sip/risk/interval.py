"""Intervals in which the true state lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from numbers import Real
from typing import Any

import numpy as np

from ..errors import ParameterError
from ..states import trees

NOTHING = 1e-6  # of the error


@dataclass(frozen=True)
class Interval:
    """
    The interval x ± q u around the state x that a network gives, with u the standard deviation per cell that the
    inverse gives; see `fit_interval`.

    Attributes:
        factor: q ≥ 0.
        coverage: Fraction of cells in (0, 1) whose true values it is to hold.

    Raises:
        ParameterError: if a number is out of range.
    """

    factor: float
    coverage: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
                raise ParameterError(f"Interval: {name} = {value!r} is no finite number.")
        if self.factor < 0 or not 0 < self.coverage < 1:
            raise ParameterError(f"Interval: {self}, but factor must be ≥ 0 and coverage between 0 and 1.")

    @staticmethod
    def of(errors: np.ndarray, deviations: np.ndarray, coverage: float) -> Interval:
        """
        Chooses q so that |x − x_true| ≤ q u in this fraction of the values, and of one more that is like them.

        Args:
            errors: x − x_true.
            deviations: u.
            coverage: Fraction.

        Raises:
            ParameterError: if u is next to 0 in more values than may lie outside.

        Source: split conformal prediction: Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-Free Predictive
        Inference for Regression", Journal of the American Statistical Association 113, 2018.
        """
        lost = float(np.mean(deviations <= NOTHING * np.sqrt(np.mean(np.square(errors)))))
        if lost > 1 - coverage:
            raise ParameterError(
                f"fit_interval: the inverse finds no signal in {lost:.0%} of the values, where its uncertainty is next "
                f"to 0, so that no multiple of it is an interval. Give observations with more signal, or do without."
            )
        ratios = np.abs(errors) / np.maximum(deviations, np.finfo(deviations.dtype).tiny)
        rank = min(ceil((ratios.size + 1) * coverage), ratios.size)
        return Interval(float(np.partition(ratios.ravel(), rank - 1)[rank - 1]), float(coverage))

    @staticmethod
    def of_description(description: Mapping[str, Any]) -> Interval:
        """Makes what `describe` has described."""
        return Interval(*(float(description[name]) for name in ("factor", "coverage")))

    def describe(self) -> dict[str, float]:
        """Returns it as plain data."""
        return {name: float(value) for name, value in asdict(self).items()}

    def half_width(self, uncertainty: Any) -> Any:
        """Computes q u."""
        return trees.scale(uncertainty, self.factor)
