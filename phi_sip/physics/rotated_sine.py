"""A sine in a rotated plane: nonlinear physics with conditioning, coupling and scale to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..errors import UnsupportedError
from ..states import order, trees
from ..states.checks import check_parameter
from ..states.parameters import as_tensor


@dataclass(frozen=True)
class RotatedSine(InvertiblePhysics):
    """
    Two coupled values x ∈ ℝ², rotated and scaled, of which one passes through a sine:

        x̂ = γ R_φ x,    R_φ = (cos φ, −sin φ; sin φ, cos φ)
        y = (sin(x̂₁) / ξ, ξ x̂₂)
        x̃ = R_φᵀ (a, y*₂ / ξ) / γ,    a = n π + (−1)ⁿ arcsin(ξ y*₁),   n = round(x̂₁ / π)

    a lies on the branch of the arcsine on which x̂₁ lies. Where |ξ y*₁| > 1 no x explains y*: a is then the nearest that
    can be attained, the crest of the branch.

    ξ is the conditioning: at x̂₁ = 0 the derivatives of the two values differ by ξ². φ couples them, so that no scaling
    of the components helps gradients; the inverse is the same for every ξ, φ and γ.

    Works on Tensors with one channel dim of size 2, on Fields of such, and trees of them. Components that have names
    are numbered in the order of their names.

    Args:
        condition: ξ > 0; a number, or a tensor with batch dims.
        angle: φ in radians; likewise.
        scale: γ > 0; likewise.

    Raises:
        ParameterError: if a parameter is out of range, not finite, or has other dims.
        UnsupportedError: by `forward` and `inverse`, if the state has other channels than one dim of size 2.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    section 4.1.
    """

    name: ClassVar[str] = "rotated-sine"

    condition: float | Tensor
    angle: float | Tensor
    scale: float | Tensor = 1.0

    def __post_init__(self) -> None:
        check_parameter("RotatedSine", "condition", self.condition, positive=True)
        check_parameter("RotatedSine", "angle", self.angle, signed=True)
        check_parameter("RotatedSine", "scale", self.scale, positive=True)

    def forward(self, x: Any) -> Any:
        """
        Computes y = (sin(x̂₁) / ξ, ξ x̂₂).

        Args:
            x: State.

        Returns:
            Observation like `x`.
        """
        with math.precision(trees.precision_of(x)):
            return trees.tree_map(self._observe, x)

    def inverse(self, y_target: Any, x: Any, y: Any) -> Correction:
        """
        Computes Δx = R_φᵀ (a − x̂₁, y_target₂ / ξ − x̂₂) / γ.

        Args:
            y_target: Observation to be explained.
            x: State to be corrected; it decides the branch.
            y: `forward(x)`; not needed.

        Returns:
            `Correction` without uncertainty.
        """
        with math.precision(trees.precision_of(x)):
            return Correction(trees.tree_map(self._correct, x, y_target))

    def _observe(self, x: Tensor) -> Tensor:
        condition = as_tensor(self.condition)
        first, second = self._rotate(x)
        return _like(x, math.sin(first) / condition, second * condition)

    def _correct(self, x: Tensor, y_target: Tensor) -> Tensor:
        condition, scale = as_tensor(self.condition), as_tensor(self.scale)
        first, second = self._rotate(x)
        sine, cosine = self._on_axes(math.sin), self._on_axes(math.cos)
        y_first, y_second = _components(y_target)
        branch = math.round(first / np.pi)
        parity = 1 - 2 * abs(branch - 2 * math.round(branch / 2))
        on_branch = branch * np.pi + parity * math.arcsin(math.clip(y_first * condition, -1.0, 1.0))
        d_first, d_second = (on_branch - first) / scale, (y_second / condition - second) / scale
        return _like(x, cosine * d_first + sine * d_second, cosine * d_second - sine * d_first)

    def _rotate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Computes x̂ = γ R_φ x."""
        a, b = _components(x)
        sine, cosine, scale = self._on_axes(math.sin), self._on_axes(math.cos), as_tensor(self.scale)
        return scale * (cosine * a - sine * b), scale * (sine * a + cosine * b)

    def _on_axes(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Computes the sine or cosine of φ in double precision, rounded to the current one."""
        with math.precision(64):
            exact = function(as_tensor(self.angle))
        return math.to_float(exact)


def _components(x: Tensor) -> tuple[Tensor, Tensor]:
    if x.shape.channel.sizes != (2,):
        raise UnsupportedError(
            f"RotatedSine acts on pairs of values, but the state has the dims {x.shape}. Give it exactly one channel "
            f"dim, of size 2, e.g. math.tensor(values, batch('batch'), channel('vector'))."
        )
    dim = x.shape.channel.name
    x = order.components_by_name(x)
    return x[{dim: 0}], x[{dim: 1}]


def _like(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Returns the pair as a tensor with the channel dim of x."""
    pair = math.stack([first, second], order.components_by_name(x).shape.channel)
    return order.in_order_of(pair, x.shape)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [RotatedSine]
