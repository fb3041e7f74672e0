"""The simplest alternative to a trained network: the inverse without one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..inversion.operator import sip_inverse

T = TypeVar("T")


def inverse_alone(physics: InvertiblePhysics, solver: str | InverseSolver | None) -> Callable[[Any], Any] | None:
    """
    Returns what maps y* to x̂ = P⁻¹(y*; x₀) without a network, by the inverse of the physics. Where it has none, the
    default solver of `sip_inverse` stands in; `None` if the training was told to use another, which may be no inverse.

    Args:
        physics: The process.
        solver: Of the training.
    """
    if not physics.has_inverse and solver is not None:
        return None
    return lambda y_target: sip_inverse(physics, y_target, physics.initial_state(y_target)).x_target


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
