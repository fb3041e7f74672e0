"""Simulated observations that are shown to the network several times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from phiml.backend import Backend

from ..contract.physics import InvertiblePhysics
from ..frameworks.arrays import read_arrays, write_arrays
from ..states import trees

FILE = "replayed.safetensors"


@dataclass(frozen=True, eq=False)
class Replayed:
    """
    A batch of simulated observations.

    Attributes:
        physics: Process that made them.
        y: Observations.
        x: The states that were simulated.
        seen: What the network is shown of them.
    """

    physics: InvertiblePhysics
    y: Any
    x: Any
    seen: Sequence[Any] = ()

    @property
    def states(self) -> tuple[Any, ...]:
        """All that is kept, one after the other."""
        return (self.y, self.x, *self.seen)

    def map(self, function: Callable[[Any], Any]) -> Replayed:
        """Returns the batch with a function applied to each of `states`."""
        y, x, *seen = map(function, self.states)
        return Replayed(self.physics, y, x, tuple(seen))


class ReplayBuffer:
    """
    The latest batches of simulated observations, of which one is drawn at a time.

    Source: Lin, "Self-improving reactive agents based on reinforcement learning, planning and teaching", 1992; for
    simulated data: Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training",
    CVPR 2017, section 2.3.
    """

    def __init__(self) -> None:
        self._batches: deque[Replayed] = deque()

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, batches: Sequence[Replayed], most: int) -> None:
        """Adds batches, and drops the oldest of more than `most`."""
        self._batches.extend(batch.map(trees.in_canonical_order) for batch in batches)
        while len(self._batches) > most:
            self._batches.popleft()

    def draw(self) -> Replayed:
        """Returns one of the batches, each as likely as the others, by NumPy's global random numbers."""
        return self._batches[np.random.randint(len(self._batches))]  # noqa: NPY002

    def save(self, folder: Path) -> None:
        """Writes all batches into a folder."""
        write_arrays(folder / FILE, [a for batch in self._batches for a in _arrays(batch)])

    def load(self, folder: Path, count: int, like: Replayed, backend: Backend) -> None:
        """
        Reads what `save` wrote.

        Args:
            folder: Where it is.
            count: Number of batches.
            like: A batch of the same dims, types and physics.
            backend: Where the batches go.

        Raises:
            CheckpointError: if other batches are there.
        """
        like = like.map(trees.in_canonical_order)
        arrays = iter(read_arrays(folder / FILE, _arrays(like) * count))

        def read(state: Any) -> Any:
            return trees.to_backend(trees.with_natives(state, [next(arrays) for _ in trees.leaves(state)]), backend)

        self._batches = deque(like.map(read) for _ in range(count))


def _arrays(batch: Replayed) -> list[np.ndarray]:
    """Returns the values of all tensors of a batch, whose states are in canonical order."""
    leaves = [leaf for state in batch.states for leaf in trees.leaves(state)]
    return [leaf.numpy(leaf.shape) for leaf in leaves]
