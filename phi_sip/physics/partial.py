"""What physics of which only a part is observed share."""

from __future__ import annotations

from typing import Any

from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..regularization import Regularization
from ..regularization.arguments import FIELD_RULES, check_field_rule


class PartialObservation(InvertiblePhysics):
    """
    Another physics, of which only a part is observed. Its closed form does not apply, nor do rules that work in its
    modes: a numerical solver stands in. `MaximumAPosteriori` does for physics with a rule, and for linear physics whose
    noise is to be measured: it fits a prior and σ to what is observed. Subclasses are frozen dataclasses.

    Attributes:
        physics: What is observed.
    """

    physics: InvertiblePhysics

    @property
    def is_linear(self) -> bool:
        """Whether the physics is linear."""
        return self.physics.is_linear

    @property
    def default_solver(self) -> str | None:
        """`MaximumAPosteriori` for physics with a prior, and for linear physics whose noise is to be measured."""
        is_fitted = self.rule_of_state is not None or (self.is_linear and self.physics.measures_noise)
        return "maximum-a-posteriori" if is_fitted else self.physics.default_solver

    @property
    def noise_std(self) -> Any:
        """σ of the physics, where it is observed; `None` if it says none."""
        return getattr(self.physics, "noise_std", None)

    @property
    def x_scale(self) -> Any:
        """That of the physics."""
        return self.physics.x_scale

    def admissible(self, x: Any) -> Any:
        """Returns the nearest state that the physics allows."""
        return self.physics.admissible(x)

    @property
    def has_white_noise(self) -> bool:
        return self.physics.has_white_noise

    @property
    def rule_of_state(self) -> Regularization | None:
        """That of the physics."""
        rule: Regularization | None = self.physics.rule_of_state
        return rule

    def _check_physics(self) -> None:
        """
        Checks that nothing was asked for that would have no effect.

        Raises:
            UnsupportedError: if `physics` is no physics.
            ParameterError: if it has options that only its closed form obeys, or its noise cannot be measured.
        """
        owner, physics = type(self).__name__, self.physics
        if not isinstance(physics, InvertiblePhysics):
            raise UnsupportedError(
                f"{owner}: physics is a {type(physics).__name__}. Give an object such as HeatEquation(1.0, 8.0)."
            )
        rule, options = self.rule_of_state, physics.inverse_options
        unused = ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not rule)
        if unused:
            raise ParameterError(
                f"{owner}: {type(physics).__name__} has {unused}, which only its closed-form inverse obeys, and of a "
                f"part of the domain there is none. Leave that out: a numerical solver stops where the noise, "
                f"noise_std=..., explains the residual, or as told, e.g. by solver=ConjugateGradient(iterations=20). "
                f"What it may have here is one rule for the state, {FIELD_RULES}, in a Composite that of the first "
                f"stage."
            )
        if rule is not None:
            check_field_rule(owner, rule, is_linear=self.is_linear)
        if physics.measures_noise and not self.is_linear and rule is None:
            raise ParameterError(
                f"{owner}: noise_std of {type(physics).__name__} is to be measured, but where a part of the domain is "
                f"observed that works for linear physics, and with regularization=EmpiricalBayes(). Give it as a "
                f"number, noise_std=..."
            )
