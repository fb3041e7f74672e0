"""Observation of a part of the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..states import order, trees


@dataclass(frozen=True, eq=False)
class Masked(InvertiblePhysics):
    """
    Another physics, of which only a part is observed:

        y = M · P(x),   M = 1 where it is observed, 0 elsewhere

    The closed form of P does not apply, nor do its rules, which work in the modes of the whole domain: for linear
    physics conjugate gradients stand in, stopped where the noise explains the residual, for others the default solver.
    Observations must be 0 outside: `observe(y)`.

    Args:
        physics: What is observed. Its `noise_std` must be a number: a mask fills the modes in which `"auto"` measures.
            It must have no `regularization`: stopping early takes its place.
        mask: `Field` or `Tensor` of 0 and 1, like the observation of `physics`; batch dims allowed.

    Raises:
        ParameterError: if the mask holds anything but 0 and 1, observes nothing, σ is not given, or `physics` has a
            rule, or other options, that only its closed form obeys.
        UnsupportedError: if `physics` is not an `InvertiblePhysics`, or `mask` neither a `Field` nor a `Tensor`.
    """

    name: ClassVar[str] = "masked"

    physics: InvertiblePhysics
    mask: Field | Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.physics, InvertiblePhysics) or not isinstance(self.mask, (Field, Tensor)):
            raise UnsupportedError(
                f"Masked needs a physics and a mask as Field or Tensor, but got a {type(self.physics).__name__} and a "
                f"{type(self.mask).__name__}."
            )
        values = self._values
        if not bool(((values == 0) | (values == 1)).all) or not bool((values == 1).any):
            raise ParameterError(
                "Masked: the mask must be 1 where y is observed and 0 elsewhere, and 1 somewhere. Threshold it first, "
                "e.g. math.to_float(distance < 1)."
            )
        if self.physics.inverse_options:
            options = ", ".join(f"{name}={value!r}" for name, value in self.physics.inverse_options.items())
            raise ParameterError(
                f"Masked: {type(self.physics).__name__} has {options}, which only its closed-form inverse obeys, and a "
                f"mask leaves it none. Leave that out: the numerical solver stops where the noise, noise_std=..., "
                f"explains the residual, or as told, e.g. by solver=ConjugateGradient(iterations=20)."
            )
        if self.physics.measures_noise:
            raise ParameterError(
                f"Masked: noise_std of {type(self.physics).__name__} is to be measured in the modes that the physics "
                f"leaves empty, but a mask fills all modes. Give it as a number, noise_std=..."
            )

    @property
    def is_linear(self) -> bool:
        """Whether the physics is linear."""
        return self.physics.is_linear

    def forward(self, x: Any) -> Any:
        """Computes y = M · P(x)."""
        return self.observe(self.physics.forward(x))

    def observe(self, y: Any) -> Any:
        """Computes M · y, the part of a whole observation that is seen."""
        precision = trees.precision_of(y)
        mask = math.cast(self._values, math.DType(float, precision))

        def observed(u: Tensor) -> Tensor:
            return order.in_order_of(u * order.matched(mask, u.shape), u.shape)

        with math.precision(precision):
            return trees.tree_map(observed, y)

    @property
    def noise_std(self) -> Any:
        """σ of the physics, where it is observed; `None` if it says none."""
        return getattr(self.physics, "noise_std", None)

    def initial_state(self, y_target: Any) -> Any:
        """Returns what the physics begins with."""
        return self.physics.initial_state(trees.scale(y_target, 0))

    def admissible(self, x: Any) -> Any:
        """Returns the nearest state that the physics allows."""
        return self.physics.admissible(x)

    @property
    def has_white_noise(self) -> bool:
        return self.physics.has_white_noise

    def add_noise(self, y: Any, normal: Any, known: Mapping[str, Any]) -> Any:
        """Returns y + n where it is observed."""
        return self.observe(self.physics.add_noise(y, normal, known))

    def noise_energy(self, y: Any) -> Tensor | None:
        """Computes E‖n‖² of the physics on the observed part; `None` if that is not known."""
        energy = self.physics.noise_energy(y)
        cells = trees.leaves(y)[0].shape.non_batch
        if energy is None:
            return None
        return energy * math.mean(math.expand(math.to_float(self._values), cells), cells)

    @property
    def _values(self) -> Tensor:
        return self.mask.values if isinstance(self.mask, Field) else self.mask


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Masked]
