"""How long a network trains: for so many steps, or for so many seconds of the processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import cos, pi


class Budget:
    """
    Counts steps, and the seconds of the processor that they take.

    Args:
        steps: At most so many.
        seconds: What they may take; `None`: as long as it takes.

    Attributes:
        taken: Steps.
        spent: Seconds.
    """

    def __init__(self, steps: int, seconds: float | None) -> None:
        self._steps, self._seconds = steps, seconds
        self.taken, self.spent = 0, 0.0

    @property
    def done(self) -> float:
        """Which part is used up, from 0 to 1."""
        parts = [self.taken / self._steps, *([] if self._seconds is None else [self.spent / self._seconds])]
        return min(1.0, max(parts))

    @property
    def decay(self) -> float:
        """Cosine decay of learning rates: ½ (1 + cos π · done)."""
        return 0.5 * (1 + cos(pi * self.done))

    def spend(self, step: Callable[..., object], *given: object) -> None:
        """Makes a step."""
        start = time.process_time()
        step(*given)
        self.spent += time.process_time() - start
        self.taken += 1
