"""Any simulation as invertible physics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from phiml.math import Tensor

from ..errors import UnsupportedError
from ..regularization import Regularization
from ..states.scales import StateScales
from .fitted import FittedPrior


@dataclass(frozen=True, eq=False)
class DifferentiablePhysics(FittedPrior):
    """
    y = f(x) for any differentiable function of Fields, Tensors or trees of them:

        physics = DifferentiablePhysics(simulate)
        sip_update_weights(net, optimizer, physics, y_target)

    The inverse is numerical: `Linear` if `linear`, else `LevenbergMarquardt`; or `solver=...` of `sip_inverse` and
    `sip_update_weights`. `Linear` has a prior where y has at most half as many values as x;
    `regularization=EmpiricalBayes()` asks for it in any case. Make the object once, outside of the training loop:
    what is compiled for it is kept with it. For physics with a name, parameters that are checked or an inverse of its
    own, derive from `InvertiblePhysics`, see `docs/writing-physics.md`.

    Args:
        function: f(x, **arguments) → y. The same on every call, written with PhiFlow or with operations of the
            framework that can be traced: no decisions on values.
        arguments: Fixed keyword arguments, e.g. `{"viscosity": 0.1}`.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, in the units of y, at which numerical inverses stop; a
            number, or a tensor with batch dims, or with dims of y*, where sensors differ. Default: not known.
        linear: Whether f(x) − f(0) is linear in x.
        regularization: `EmpiricalBayes()`: the prior of a Gaussian field, fitted to each observation, together with σ
            if `noise_std` does not say it; or another rule that needs no closed form, see `MaximumAPosteriori`. For
            functions whose state is one field. Default: none.
        x_scale: Characteristic sizes of the values of a state whose parts differ in unit, e.g.
            `{"u": 1.0, "log_nu": 0.4}`, see `InvertiblePhysics.x_scale`. Default: 1 for all. In any case each part
            counts by its mean square, so that one number counts as much as a field.

    Raises:
        UnsupportedError: if `function` cannot be called.
        ParameterError: if `noise_std` is negative or not finite, `regularization` needs a closed form, or `x_scale`
            holds anything but finite numbers > 0.
    """

    name: ClassVar[str] = "differentiable"

    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    noise_std: float | Tensor | None = None
    linear: bool = False
    regularization: Regularization | None = None
    x_scale: Any = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise UnsupportedError(
                f"DifferentiablePhysics: function is a {type(self.function).__name__}. Give the function that "
                f"simulates, y = f(x), without calling it."
            )
        self._check_noise_and_prior()
        StateScales(self.x_scale)

    @property
    def is_linear(self) -> bool:
        """Whether the function is linear, as given."""
        return self.linear

    def forward(self, x: Any) -> Any:
        """Computes y = f(x, **arguments)."""
        return self.function(x, **self.arguments)
