"""Training with labels: the yardstick for training without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..states import trees


@dataclass(frozen=True)
class Supervised(InverseSolver):
    """
    The inverse that knows the answer:

        x̃ = x_true

    so that the proxy loss is ½ ‖x − x_true‖², and training with it is supervised training: the limit of what training
    without labels can reach. Give it as an object, `solver=Supervised(x_true)`; being no inverse of observations, it
    has no place in the registry.

    Args:
        x_true: True states, like x.
    """

    name: ClassVar[str] = "supervised"
    x_true: Any

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Returns x_true − x. The observation does not matter."""
        return Correction(trees.subtract(self.x_true, x))
