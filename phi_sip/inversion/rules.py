"""The regularization rule of physics, and physics with another one."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..contract.physics import InvertiblePhysics
from ..regularization import Regularization

RULE = "regularization"


def rule_of(physics: InvertiblePhysics) -> Regularization | None:
    """
    Returns the rule that the closed-form inverse of a physics obeys; `None` if it takes none, or does not say which.

    Args:
        physics: Process. One whose `regularization` is `None` says by `rule` which rule it takes then.
    """
    if not _takes_rules(physics):
        return None
    rule = getattr(physics, "rule", getattr(physics, RULE))
    return rule if isinstance(rule, Regularization) else None


def with_rule(physics: InvertiblePhysics, rule: Regularization) -> InvertiblePhysics | None:
    """
    Returns the same physics, inverted by another rule; `None` if it takes no rules.

    Args:
        physics: Process.
        rule: Regularization rule.
    """
    if not _takes_rules(physics):
        return None
    made: Any = dataclasses.replace(physics, **{RULE: rule})
    return made if isinstance(made, InvertiblePhysics) else None


def _takes_rules(physics: InvertiblePhysics) -> bool:
    has_field = physics.has_inverse and RULE in {field.name for field in dataclasses.fields(physics)}
    return has_field and isinstance(getattr(physics, RULE), (Regularization, type(None)))
