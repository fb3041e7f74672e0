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
from .partial import PartialObservation

FEW = 0.5  # part of the values that is observed, at most, where a prior decides


@dataclass(frozen=True, eq=False)
class Masked(PartialObservation):
    """
    Another physics, of which only a part is observed:

        y = M · P(x),   M = 1 where it is observed, 0 elsewhere

    The closed form of P does not apply. Physics that has a rule, and linear physics whose noise is to be measured or of
    which at most half is observed, is inverted by `MaximumAPosteriori`: it obeys the rule, or fits a prior, and σ, to
    what is observed. Elsewhere conjugate gradients stand in for linear physics, stopped where the noise explains the
    residual, and the default solver for others. Observations must be 0 outside: `observe(y)`.

    Args:
        physics: What is observed. Its `regularization` may be any rule that needs no closed form, see
            `MaximumAPosteriori`; without one, and if it is not linear, its `noise_std` must be a number.
        mask: `Field` or `Tensor` of 0 and 1, like the observation of `physics`; batch dims allowed.

    Raises:
        ParameterError: if the mask holds anything but 0 and 1, observes nothing, or `physics` has a rule, or other
            options, that needs its closed form, or is not linear, has no prior, and says no σ.
        UnsupportedError: if `physics` is not an `InvertiblePhysics`, or `mask` neither a `Field` nor a `Tensor`.
    """

    name: ClassVar[str] = "masked"

    physics: InvertiblePhysics
    mask: Field | Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.mask, (Field, Tensor)):
            raise UnsupportedError(f"Masked: mask is a {type(self.mask).__name__}. Give a Field or Tensor of 0 and 1.")
        values = self._values
        if not bool(((values == 0) | (values == 1)).all) or not bool((values == 1).any):
            raise ParameterError(
                "Masked: the mask must be 1 where y is observed and 0 elsewhere, and 1 somewhere. Threshold it first, "
                "e.g. math.to_float(distance < 1)."
            )
        self._check_physics()

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

    def initial_state(self, y_target: Any) -> Any:
        """Returns what the physics begins with."""
        return self.physics.initial_state(trees.scale(y_target, 0))

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
    def default_solver(self) -> str | None:
        """
        `MaximumAPosteriori` for physics with a prior, for linear physics whose noise is to be measured, and for linear
        physics of which at most half of the values are observed.
        """
        values = self._values  # traced only where nothing is on the host
        is_hidden = self.is_linear and values.available and float(math.to_float(values).mean) <= FEW
        return "maximum-a-posteriori" if is_hidden else super().default_solver

    @property
    def _values(self) -> Tensor:
        return self.mask.values if isinstance(self.mask, Field) else self.mask


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Masked]
