"""Exponential growth of each value, and its inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..errors import ParameterError
from ..states import order, trees
from ..states.checks import check_parameter
from ..states.parameters import as_tensor


@dataclass(frozen=True)
class Exponential(InvertiblePhysics):
    """
    Exponential growth, value by value:

        y = exp(r x)
        x̃ = x + log(y* / y) / r = log(y*) / r

    dy/dx = r y: where y is small the gradient of ½ (y − y*)² all but vanishes, however far x is from the solution. The
    inverse does not see how small y is; it is taken from y* alone, so that it holds where P(x) is 0 in rounding.

    Works on Fields, Tensors and trees of them.

    Args:
        rate: r ≠ 0, in 1 / unit of x; a number, or a tensor with batch dims.

    Raises:
        ParameterError: if `rate` is 0, not finite, or has other dims; by `inverse`, if an observation is not positive.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    Fig. 2.
    """

    name: ClassVar[str] = "exponential"

    rate: float | Tensor = 1.0

    def __post_init__(self) -> None:
        check_parameter("Exponential", "rate", self.rate, signed=True)
        rate = math.wrap(self.rate)
        if rate.available and bool((rate == 0).any):
            raise ParameterError("Exponential: rate = 0 makes y = 1 whatever x is. Give a rate other than 0.")

    @property
    def inverse_is_exact(self) -> bool:
        """True, as the logarithm is."""
        return True

    def forward(self, x: Any) -> Any:
        """
        Computes y = exp(r x).

        Args:
            x: State.

        Returns:
            Observation like `x`.
        """
        with math.precision(trees.precision_of(x)):
            rate = as_tensor(self.rate)
            return trees.tree_map(lambda u: order.in_order_of(math.exp(u * rate), u.shape), x)

    def inverse(self, y_target: Any, x: Any, y: Any) -> Correction:
        """
        Computes Δx = log(y_target) / r − x.

        Args:
            y_target: Observation to be explained, > 0.
            x: State to be corrected.
            y: `forward(x)`; not needed.

        Returns:
            `Correction` without uncertainty.
        """
        _check_positive(y_target)
        with math.precision(trees.precision_of(x)):
            rate = as_tensor(self.rate)
            return Correction(
                trees.tree_map(lambda u, v: order.in_order_of(math.log(v) / rate - u, u.shape), x, y_target)
            )


def _check_positive(y_target: Any) -> None:
    bad = [leaf for leaf in trees.leaves(y_target) if leaf.available and bool((leaf <= 0).any)]
    if bad:
        least = min(float(math.min(leaf, leaf.shape)) for leaf in bad)
        raise ParameterError(
            f"Exponential: an observation is {least:g}, but exp(r x) is positive. Remove it or model an offset; in "
            f"training, use a step_size of at most 1, beyond which y + η (y* − y) can be negative."
        )


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Exponential]
