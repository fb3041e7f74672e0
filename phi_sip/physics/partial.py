"""What physics of which only a part is observed share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..regularization import EmpiricalBayes


class PartialObservation(InvertiblePhysics):
    """
    Another physics, of which only a part is observed. Its closed form does not apply, nor do its rules, which work in
    the modes of the whole domain: a numerical solver stands in. `MaximumAPosteriori` does for physics that has the rule
    `EmpiricalBayes()`, and for linear physics whose noise is to be measured: it fits a prior and σ to what is observed.
    Subclasses are frozen dataclasses.

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
        is_fitted = self._has_prior or (self.is_linear and self.physics.measures_noise)
        return "maximum-a-posteriori" if is_fitted else self.physics.default_solver

    @property
    def noise_std(self) -> Any:
        """σ of the physics, where it is observed; `None` if it says none."""
        return getattr(self.physics, "noise_std", None)

    def admissible(self, x: Any) -> Any:
        """Returns the nearest state that the physics allows."""
        return self.physics.admissible(x)

    @property
    def has_white_noise(self) -> bool:
        return self.physics.has_white_noise

    @property
    def _has_prior(self) -> bool:
        """Whether the physics has a rule for its state that works for parts of the domain too."""
        rules = self._rules
        of_state = all(set(re.findall(r"\[(\d+)\]", name)) <= {"0"} for name in rules)  # not of a later stage
        return bool(rules) and of_state and all(isinstance(rule, EmpiricalBayes) for rule in rules.values())

    @property
    def _rules(self) -> Mapping[str, Any]:
        """The rules that the physics, or its stages, obey, by their names among its options."""
        options = self.physics.inverse_options
        return {name: rule for name, rule in options.items() if name.split(".")[-1] == "regularization"}

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
        obeyed = set(self._rules) if self._has_prior else set()
        unused = {name: value for name, value in physics.inverse_options.items() if name not in obeyed}
        if unused:
            options = ", ".join(f"{name}={value!r}" for name, value in unused.items())
            raise ParameterError(
                f"{owner}: {type(physics).__name__} has {options}, which only its closed-form inverse obeys, and of a "
                f"part of the domain there is none. Leave that out: a numerical solver stops where the noise, "
                f"noise_std=..., explains the residual, or as told, e.g. by solver=ConjugateGradient(iterations=20). "
                f"The rule that physics may have here is EmpiricalBayes(), in a Composite its first stage."
            )
        if physics.measures_noise and not self.is_linear and not self._has_prior:
            raise ParameterError(
                f"{owner}: noise_std of {type(physics).__name__} is to be measured, but where a part of the domain is "
                f"observed that works for linear physics, and with regularization=EmpiricalBayes(). Give it as a "
                f"number, noise_std=..."
            )
