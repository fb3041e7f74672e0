"""What physics without a closed form share whose inverse may have a prior, which is fitted to each observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..regularization import Regularization
from ..regularization.arguments import check_field_rule
from ..states import trees
from ..states.checks import check_parameter


class FittedPrior(InvertiblePhysics):
    """
    Physics that a solver inverts, with the prior of a Gaussian field if there is a rule, and σ if it is given. Without
    a rule the solver stops where the noise explains the rest. Subclasses are frozen dataclasses, which call
    `_check_noise_and_prior` when created.

    Attributes:
        noise_std: σ ≥ 0 of white noise in y*, at which numerical inverses stop; a number, or a tensor with batch dims,
            or with dims of y*, for noise that differs between its values; `None`: not known.
        regularization: A rule that needs no closed form, e.g. `EmpiricalBayes()`: the prior is fitted to each
            observation, together with σ if that is not known. `None`: no prior.
    """

    noise_std: float | Tensor | None
    regularization: Regularization | None

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """The rule, if one was given."""
        return {} if self.regularization is None else {"regularization": self.regularization}

    @property
    def rule_of_state(self) -> Regularization | None:
        return self.regularization

    def admissible(self, x: Any) -> Any:
        """Returns x without the values that the rule excludes, see `Regularization.admissible`."""
        return x if self.regularization is None else trees.tree_map(self.regularization.admissible, x)

    @property
    def default_solver(self) -> str | None:
        """`MaximumAPosteriori`, if there is a rule."""
        return None if self.regularization is None else "maximum-a-posteriori"

    @property
    def measures_noise(self) -> bool:
        """Whether σ is fitted with the prior."""
        return self.regularization is not None and self.noise_std is None

    def noise_energy(self, y: Any) -> Tensor | None:
        """Computes the mean of σ² times the number of values, where σ is given; `None` elsewhere."""
        if self.noise_std is None:
            return None
        values = sum(leaf.shape.non_batch.volume for leaf in trees.leaves(y))
        variance = math.to_float(math.wrap(self.noise_std)) ** 2
        return math.mean(variance, variance.shape.non_batch) * values

    def _check_noise_and_prior(self) -> None:
        """
        Checks σ and the rule, with which `noise_std="auto"` is the same as `None`: fitted.

        Raises:
            ParameterError: if `noise_std` is negative or not finite, or the rule needs a closed form.
        """
        owner, rule = type(self).__name__, self.regularization
        if isinstance(self.noise_std, str) and self.noise_std == "auto" and rule is not None:
            object.__setattr__(self, "noise_std", None)
        if self.noise_std is not None:
            check_parameter(owner, "noise_std", self.noise_std, per_value=True)
        if rule is not None:
            check_field_rule(owner, rule, is_linear=self.is_linear)
