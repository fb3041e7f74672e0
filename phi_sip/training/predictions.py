"""What a network predicts of the same observations again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .batch_physics import PhysicsBatch


class Predictions:
    """
    The states that a network predicts of some observations with the weights that it has when asked. What it is shown
    of them is computed when it is first asked, and kept.

    Args:
        batches: Observations y*, and their physics.
        evaluation: Returns what computes x = f(y*) of one batch, as the network is used for inference.
    """

    def __init__(
        self, batches: Sequence[PhysicsBatch], evaluation: Callable[[PhysicsBatch], Callable[[], Any]]
    ) -> None:
        self._batches, self._evaluation = batches, evaluation
        self._computations: list[Callable[[], Any]] = []

    def states(self) -> list[Any]:
        """Returns x = f(y*) of each batch."""
        if not self._computations:
            self._computations = [self._evaluation(batch) for batch in self._batches]
        return [compute() for compute in self._computations]
