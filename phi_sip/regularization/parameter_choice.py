"""How far to regularize: the parameter of a family of filters, chosen from the data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from phiml import math
from phiml.math import Tensor, channel

from ..states import order
from ..states.checks import check_parameter

ALPHA = channel("_alpha")


@dataclass(frozen=True)
class FilterCurves:
    """
    What each parameter α of a family of filters does to the data; all along the dim `_alpha`, of growing α.

    Attributes:
        log_alpha: log α.
        residual: ‖P(x_α) − y*‖².
        solution: ‖x_α‖².
        freedom: Number of modes less the trace of the influence matrix, Σ_k (1 − f_k).
        noise: E‖n‖² = σ² · number of modes.
    """

    log_alpha: Tensor
    residual: Tensor
    solution: Tensor
    freedom: Tensor
    noise: Tensor


class ParameterChoice(ABC):
    """A way to choose α."""

    @abstractmethod
    def cost(self, curves: FilterCurves) -> Tensor:
        """Computes what the α chosen minimizes, along the dim `_alpha`."""

    def log_alpha(self, compute: Callable[[], FilterCurves]) -> Tensor:
        """Returns log of the α chosen; `compute` returns the curves."""
        curves = compute()
        cost = self.cost(curves)
        chosen = math.to_float(cost == math.min(cost, ALPHA))
        return math.sum(curves.log_alpha * chosen, ALPHA) / math.sum(chosen, ALPHA)


@dataclass(frozen=True)
class GivenParameter(ParameterChoice):
    """
    α as given, in units of the largest h².

    Args:
        alpha: α > 0.
    """

    alpha: float

    def __post_init__(self) -> None:
        check_parameter("GivenParameter", "alpha", self.alpha, positive=True)

    def cost(self, curves: FilterCurves) -> Tensor:
        return abs(curves.log_alpha - self.log_alpha(lambda: curves))

    def log_alpha(self, compute: Callable[[], FilterCurves]) -> Tensor:
        return math.log(math.to_float(math.wrap(self.alpha)))


@dataclass(frozen=True)
class GeneralizedCrossValidation(ParameterChoice):
    """
    Least G(α) = ‖P(x_α) − y*‖² / (Σ_k (1 − f_k))², which needs no σ.

    Source: Golub, Heath, Wahba, "Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter",
    Technometrics 21, 1979, eq. 1.4.
    """

    def cost(self, curves: FilterCurves) -> Tensor:
        # With less freedom than this, both are but rounding, and 0 / 0 would win.
        free = curves.freedom > 1e-3
        return order.where(free, curves.residual / order.where(free, curves.freedom, 1.0) ** 2, float("inf"))


@dataclass(frozen=True)
class DiscrepancyPrinciple(ParameterChoice):
    """
    The α whose residual is what the noise explains: ‖P(x_α) − y*‖² = τ² σ² N.

    Args:
        tau: τ ≥ 1, a margin on σ.

    Source: Morozov, "On the Solution of Functional Equations by the Method of Regularization", 1966.
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        check_parameter("DiscrepancyPrinciple", "tau", self.tau, positive=True)

    def cost(self, curves: FilterCurves) -> Tensor:
        smallest = curves.noise * 1e-12
        return abs(math.log(math.maximum(curves.residual, smallest) / (self.tau**2 * curves.noise)))


@dataclass(frozen=True)
class LCurve(ParameterChoice):
    """
    The corner of the curve (log ‖P(x_α) − y*‖, log ‖x_α‖): the largest curvature. Where y* holds nothing but noise
    there is no corner, and the largest α is taken.

    Source: Hansen, O'Leary, "The Use of the L-Curve in the Regularization of Discrete Ill-Posed Problems", SIAM J. Sci.
    Comput. 14, 1993, section 3.
    """

    def cost(self, curves: FilterCurves) -> Tensor:
        # Slopes over decades: the curve of one sample is too rough for anything shorter.
        residual, solution = (
            0.5 * math.log(math.maximum(v, curves.noise * 1e-12)) for v in (curves.residual, curves.solution)
        )
        (dr, ddr), (ds, dds) = _derivatives(residual), _derivatives(solution)
        curvature = (dr * dds - ds * ddr) / (dr**2 + ds**2 + 1e-12) ** 1.5
        cost = math.pad(-curvature, {ALPHA.name: (_REACH, _REACH)}, 1e30)
        holds_signal = curves.residual[{ALPHA.name: -1}] > _SIGNAL * curves.noise
        return order.where(holds_signal, cost, -curves.log_alpha)


_REACH = 4
_SIGNAL = 1.2  # power of what the largest α leaves, in units of the noise, above which there is signal


def _derivatives(values: Tensor) -> tuple[Tensor, Tensor]:
    """Computes first and second differences over `_REACH` values to each side."""
    name, n = ALPHA.name, values.shape.get_size("_alpha")
    before, here, after = (values[{name: slice(start, start + n - 2 * _REACH)}] for start in (0, _REACH, 2 * _REACH))
    return (after - before) / 2, after - 2 * here + before
