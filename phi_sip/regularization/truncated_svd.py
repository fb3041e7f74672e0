"""The truncated singular value decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phiml import math
from phiml.math import Tensor

from .filters import SpectralFilter


@dataclass(frozen=True)
class TruncatedSVD(SpectralFilter):
    """
    Inverts the modes whose gain is large enough, and leaves out the others:

        f_k = 1 where h_k² ≥ α, else 0

    The basis is that of the singular vectors, h_k the singular values.

    Args:
        parameter: α > 0 in units of the largest h², or how to choose it: `GeneralizedCrossValidation()` (default),
            `DiscrepancyPrinciple()`, `LCurve()`.

    Raises:
        ParameterError: if `parameter` is something else.

    Source: Hansen, "The Truncated SVD as a Method for Regularization", BIT 27, 1987; "Discrete Inverse Problems", SIAM
    2010, eq. 4.2.
    """

    name: ClassVar[str] = "truncated-svd"

    def factors(self, log_gain: Tensor, log_alpha: Tensor) -> Tensor:
        return math.to_float(2 * log_gain >= log_alpha)
