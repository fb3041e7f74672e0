"""How much of what a network adds to the inverse is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from ..errors import ParameterError
from ..states import trees
from .estimate import RiskEstimate


@dataclass(frozen=True)
class Guard:
    """
    Keeps a network from being worse than the inverse, for physics that is linear:

        x = x̂ + g (f(y*) − x̂),   0 ≤ g ≤ 1

    The risk of this, less that of the inverse alone, is a g + c g², see `RiskEstimate.terms`. g is where that is least,
    −a / 2c, and one standard error more, as far as it is in [0, 1]: what a network has learned is given up only as far
    as the observations speak against it.

    Attributes:
        gain: g.
        risk: Risk of the network less that of the inverse: below 0 where the network is better.
        risk_error: Its standard error.

    Raises:
        ParameterError: if the gain is not in [0, 1], or a number is not finite.

    Source: one standard error: Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984, section
    3.4.3; combinations of estimators by Stein's estimate: Leung, Barron, "Information Theory and Mixing Least-Squares
    Regressions", IEEE Transactions on Information Theory 52, 2006.
    """

    gain: float
    risk: float
    risk_error: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
                raise ParameterError(f"Guard: {name} = {value!r} is no finite number.")
        if not 0 <= self.gain <= 1:
            raise ParameterError(f"Guard: gain = {self.gain}, but it must be in [0, 1].")

    @staticmethod
    def of(estimate: RiskEstimate, x: Any, x_probed: Any) -> Guard:
        """
        Chooses the gain by the risk.

        Args:
            estimate: Risk on some observations; the more samples they have, the better.
            x: f(y*) of the network.
            x_probed: f of `estimate.probed`.
        """
        linear, quadratic = estimate.terms(x, x_probed)
        curvature, risks = 2 * float(np.mean(quadratic)), linear + quadratic
        gain = 0.0  # where the network adds nothing
        if curvature > 0:
            least = -float(np.mean(linear)) / curvature
            gain = least + _standard_error(linear + 2 * least * quadratic) / curvature
        return Guard(float(np.clip(gain, 0, 1)), float(np.mean(risks)), _standard_error(risks))

    @staticmethod
    def of_description(description: Mapping[str, Any]) -> Guard:
        """Makes what `describe` has described."""
        return Guard(**{name: float(description[name]) for name in ("gain", "risk", "risk_error")})

    def describe(self) -> dict[str, float]:
        """Returns it as plain data."""
        return {name: float(value) for name, value in asdict(self).items()}

    def guarded(self, x: Any, estimate: Any) -> Any:
        """
        Computes x̂ + g (x − x̂).

        Args:
            x: f(y*) of the network.
            estimate: x̂ of the inverse alone.
        """
        return trees.add(estimate, trees.scale(trees.subtract(x, estimate), self.gain))


def _standard_error(values: np.ndarray) -> float:
    """Returns that of the mean; 0 for a single sample, which does not tell."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
