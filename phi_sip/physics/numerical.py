"""What physics without modes of its own shares, which solvers invert: a prior, and noise that is given or fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError
from ..regularization import EmpiricalBayes, Regularization
from ..states import trees
from ..states.checks import check_parameter


class NumericallyInverted(InvertiblePhysics):
    """
    Physics that has no basis of its own in which a rule could work: a solver inverts it, and

        regularization=EmpiricalBayes()

    asks for the prior of a Gaussian field, which is fitted to each observation, together with σ if `noise_std` does not
    say it. Subclasses are frozen dataclasses that have the fields below, say what is linear, and call
    `_check_noise_and_rule` when created.

    Attributes:
        noise_std: Standard deviation σ ≥ 0 of white noise in y*; `None`: not known.
        regularization: The prior; `None`: none.
        or_be_linear: What else to do about a prior of physics that is not linear, for messages.
    """

    or_be_linear: ClassVar[str] = ""

    noise_std: float | Tensor | None
    regularization: Regularization | None

    def _check_noise_and_rule(self) -> None:
        """
        Checks both fields.

        Raises:
            ParameterError: if σ is negative or not finite, or the rule is another one, or given for physics that is not
                linear.
        """
        owner = type(self).__name__
        if self.noise_std is not None:
            check_parameter(owner, "noise_std", self.noise_std)
        if self.regularization is None:
            return
        if not isinstance(self.regularization, EmpiricalBayes):
            raise ParameterError(
                f"{owner}: regularization is a {type(self.regularization).__name__}, which works in the modes of a "
                f"closed form. Give EmpiricalBayes(), or nothing: the solver then stops where the noise explains the "
                f"rest."
            )
        if not self.is_linear:
            raise ParameterError(
                f"{owner}: regularization is for linear physics, which this is not. Leave it out{self.or_be_linear}."
            )

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """The rule, if one was given."""
        return {} if self.regularization is None else {"regularization": self.regularization}

    @property
    def default_solver(self) -> str | None:
        """`GaussianProcess`, if there is a rule."""
        return None if self.regularization is None else "gaussian-process"

    @property
    def measures_noise(self) -> bool:
        """Whether σ is fitted with the prior."""
        return self.regularization is not None and self.noise_std is None

    def noise_energy(self, y: Any) -> Tensor | None:
        """Computes σ² times the number of values, where σ is given; `None` elsewhere."""
        if self.noise_std is None:
            return None
        values = sum(leaf.shape.non_batch.volume for leaf in trees.leaves(y))
        return math.to_float(math.wrap(self.noise_std)) ** 2 * values
