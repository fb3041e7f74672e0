"""Any simulation as invertible physics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..regularization import EmpiricalBayes, Regularization
from ..states import trees
from ..states.checks import check_parameter


@dataclass(frozen=True, eq=False)
class DifferentiablePhysics(InvertiblePhysics):
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
            number, or a tensor with batch dims. Default: not known.
        linear: Whether f(x) − f(0) is linear in x.
        regularization: `EmpiricalBayes()`: the prior of a Gaussian field, fitted to each observation, together with σ
            if `noise_std` does not say it. For functions whose state is one field. Default: none.

    Raises:
        UnsupportedError: if `function` cannot be called.
        ParameterError: if `noise_std` is negative or not finite, or `regularization` is another rule.
    """

    name: ClassVar[str] = "differentiable"

    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    noise_std: float | Tensor | None = None
    linear: bool = False
    regularization: Regularization | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise UnsupportedError(
                f"DifferentiablePhysics: function is a {type(self.function).__name__}. Give the function that "
                f"simulates, y = f(x), without calling it."
            )
        if self.noise_std is not None:
            check_parameter("DifferentiablePhysics", "noise_std", self.noise_std)
        if self.regularization is not None:
            self._check_rule(self.regularization)

    def _check_rule(self, rule: Any) -> None:
        if not isinstance(rule, EmpiricalBayes):
            raise ParameterError(
                f"DifferentiablePhysics: regularization is a {type(rule).__name__}, which works in the modes of a "
                f"closed form. Give EmpiricalBayes(), or nothing: the solver then stops where the noise explains the "
                f"rest."
            )

    @property
    def is_linear(self) -> bool:
        """Whether the function is linear, as given."""
        return self.linear

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """The rule, if one was given."""
        return {} if self.regularization is None else {"regularization": self.regularization}

    @property
    def default_solver(self) -> str | None:
        """`MaximumAPosteriori`, if there is a rule."""
        return None if self.regularization is None else "maximum-a-posteriori"

    @property
    def measures_noise(self) -> bool:
        """Whether σ is fitted with the prior."""
        return self.regularization is not None and self.noise_std is None

    def forward(self, x: Any) -> Any:
        """Computes y = f(x, **arguments)."""
        return self.function(x, **self.arguments)

    def noise_energy(self, y: Any) -> Tensor | None:
        """Computes σ² times the number of values, where σ is given; `None` elsewhere."""
        if self.noise_std is None:
            return None
        values = sum(leaf.shape.non_batch.volume for leaf in trees.leaves(y))
        return math.to_float(math.wrap(self.noise_std)) ** 2 * values
