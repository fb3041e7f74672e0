"""Exponential growth of each value, and its inverse."""

from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math

from phi_sip import Correction, InvertiblePhysics, ParameterError


@dataclass(frozen=True)
class Exponential(InvertiblePhysics):
    """
    y = exp(r x), value by value, with the inverse x̃ = x + log(y* / y) / r.

    dy/dx = r y: where y is small the gradient of ½ (y − y*)² all but vanishes, however far x is from the solution.
    The inverse does not see how small y is.

    Args:
        rate: r ≠ 0, in 1 / unit of x.

    Raises:
        ParameterError: if `rate` is 0; by `inverse`, if an observation is not positive.

    Source: Holl, Koltun, Thuerey (arXiv 2109.15048), Fig. 2.
    """

    name: ClassVar[str] = "exponential"

    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.rate == 0:
            raise ParameterError("Exponential: rate = 0 makes y = 1 whatever x is. Give a rate other than 0.")

    def forward(self, x: Any) -> Any:
        return math.exp(self.rate * x)

    def inverse(self, y_target: Any, x: Any, y: Any) -> Correction:
        if bool((math.min(y_target, y_target.shape) <= 0).any):
            raise ParameterError(
                "Exponential: an observation is ≤ 0, which exp never is. Remove it, or model an offset."
            )
        return Correction(math.log(y_target / y) / self.rate)
