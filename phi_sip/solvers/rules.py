"""The prior of a state, as the rule of its physics has it."""

from __future__ import annotations

from typing import Any

from ..contract.physics import InvertiblePhysics
from ..regularization import EmpiricalBayes
from ..regularization.arguments import check_field_rule
from ..regularization.field_prior import FieldPrior


def prior_of(solver: Any, physics: InvertiblePhysics) -> FieldPrior:
    """
    Returns the prior of the rule of a physics; that of `EmpiricalBayes()` if it has none.

    Raises:
        ParameterError: if the rule needs a closed form, or physics that is linear.
    """
    rule = physics.rule_of_state
    used = EmpiricalBayes() if rule is None else rule
    return check_field_rule(type(solver).__name__, used, is_linear=physics.is_linear)
