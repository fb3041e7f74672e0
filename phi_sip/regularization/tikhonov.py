"""Tikhonov regularization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phiml import math
from phiml.math import Tensor

from .filters import SpectralFilter
from .gaussian import log_sigmoid


@dataclass(frozen=True)
class Tikhonov(SpectralFilter):
    """
    x̃ = argmin ‖P(x) − y*‖² + α ‖x‖²,   f_k = h_k² / (h_k² + α)

    Args:
        parameter: α > 0 in units of the largest h², or how to choose it: `GeneralizedCrossValidation()` (default),
            `DiscrepancyPrinciple()`, `LCurve()`.

    Raises:
        ParameterError: if `parameter` is something else.

    Source: Tikhonov, "Solution of Incorrectly Formulated Problems and the Regularization Method", 1963; Hansen,
    "Discrete Inverse Problems", SIAM 2010, eq. 4.10.
    """

    name: ClassVar[str] = "tikhonov"

    def factors(self, log_gain: Tensor, log_alpha: Tensor) -> Tensor:
        return math.exp(log_sigmoid(2 * log_gain - log_alpha))
