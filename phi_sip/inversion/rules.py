"""Physics with another regularization rule."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..contract.physics import InvertiblePhysics
from ..regularization import Regularization

RULE = "regularization"


def with_rule(physics: InvertiblePhysics, rule: Regularization) -> InvertiblePhysics | None:
    """
    Returns the same physics, inverted by another rule; `None` if it takes no rules.

    Args:
        physics: Process.
        rule: Regularization rule.
    """
    has_field = RULE in {field.name for field in dataclasses.fields(physics)}
    if not has_field or not isinstance(getattr(physics, RULE), (Regularization, type(None))):
        return None
    made: Any = dataclasses.replace(physics, **{RULE: rule})
    return made if isinstance(made, InvertiblePhysics) else None
