"""What can stand in for a closed-form inverse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from ..physics.base import Correction, InvertiblePhysics


class InverseSolver(ABC):
    """
    A numerical local inverse x̃ = P⁻¹(y_target; x).

    Attributes:
        name: Registry key of the class, see `get_solver`.
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """
        Moves x so that the physics explains `y_target` better.

        Args:
            physics: Process to invert; only `forward` is used.
            y_target: Observation to be explained.
            x: State around which to invert.
            y: `physics.forward(x)`.

        Returns:
            `Correction` x̃ − x.
        """
