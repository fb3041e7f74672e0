"""The simplest alternative to a trained network: the inverse without one. What all examples show beside networks."""

from __future__ import annotations

from typing import Any

from phi_sip import InvertiblePhysics, sip_inverse
from phi_sip.contract.solver import InverseSolver

NAME = "inverse alone"


def invert_alone(
    physics: InvertiblePhysics, y_target: Any, *, solver: str | InverseSolver | None = None, times: int = 1
) -> Any:
    """
    Inverts observations without a network:

        x₁ = P⁻¹(y*; x₀),   x₂ = P⁻¹(y*; x₁),   …

    Args:
        physics: Process.
        y_target: Observations.
        solver: Numerical inverse; default: the physics' own.
        times: How many times the inverse goes on from its last answer. One is enough where it is exact.
    """
    x = physics.initial_state(y_target)
    for _ in range(times):
        x = sip_inverse(physics, y_target, x, solver=solver).x_target
    return x
