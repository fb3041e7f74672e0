"""The simplest alternative to a trained network: the inverse without one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..inversion.operator import sip_inverse
from .batch_physics import PhysicsBatch

T = TypeVar("T")


def is_comparable(physics: InvertiblePhysics, solver: str | InverseSolver | None) -> bool:
    """
    Tells whether the inverse alone is an alternative: that of the physics. Where it has none, the default solver of
    `sip_inverse` stands in, unless the training was told to use another, which may be no inverse.

    Args:
        physics: The process.
        solver: Of the training.
    """
    return physics.has_inverse or solver is None


def inverted_alone(batch: PhysicsBatch) -> Any:
    """Computes x̂ = P⁻¹(y*; x₀) without a network, by the physics of a batch."""
    x = batch.physics.initial_state(batch.y_target)
    return sip_inverse(batch.physics, batch.y_target, x).x_target


def unless_it_fails(function: Callable[[], T]) -> T | None:
    """
    Returns what a function returns; `None` if it fails. What is only shown for comparison ends no training, and warns
    of nothing: there are physics of which nobody says where an inversion begins.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function()
        except Exception:
            return None
