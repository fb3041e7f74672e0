"""Simulated observations that are shown to the network several times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..errors import CheckpointError
from ..frameworks.arrays import read_arrays, write_arrays
from ..states import order, trees
from .parameters import parameters_in, with_parameters, with_sizes

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

    def copy(self) -> ReplayBuffer:
        """Returns another buffer with the same batches."""
        other = ReplayBuffer()
        other._batches = self._batches.copy()
        return other

    def add(self, batches: Sequence[Replayed], most: int) -> None:
        """Adds batches, and drops the oldest of more than `most`."""
        self._batches.extend(batch.map(trees.in_canonical_order) for batch in batches)
        while len(self._batches) > most:
            self._batches.popleft()

    def draw(self) -> Replayed:
        """Returns one of the batches, each as likely as the others, by NumPy's global random numbers."""
        return self._batches[np.random.randint(len(self._batches))]  # noqa: NPY002

    def save(self, folder: Path) -> list[dict[str, int]]:
        """Writes all batches, and the parameters of their physics. Returns the sizes of the batch dims of each."""
        write_arrays(folder / FILE, [a for b in self._batches for a in (*_arrays(b), *parameters_in(b.physics))])
        return [_sizes(batch) for batch in self._batches]

    def load(
        self, folder: Path, sizes: Sequence[Mapping[str, int]], like: Replayed, backend: Backend, knows_physics: bool
    ) -> None:
        """
        Reads what `save` wrote.

        Args:
            folder: Where it is.
            sizes: What `save` returned.
            like: A batch of the same dims but for their sizes, and of the same types and class of physics.
            backend: Where the batches go.
            knows_physics: Whether the parameters of the physics were written. Earlier versions knew one physics.

        Raises:
            CheckpointError: if other batches are there.
        """
        like = like.map(trees.in_canonical_order)
        _check_fits(folder / FILE, sizes, like)
        templates = [_of_sizes(like, of) for of in sizes]
        known = [(t, parameters_in(t.physics) if knows_physics else []) for t in templates]
        arrays = iter(read_arrays(folder / FILE, [a for template, own in known for a in (*_arrays(template), *own)]))

        def read(state: Any) -> Any:
            return trees.to_backend(trees.with_natives(state, [next(arrays) for _ in trees.leaves(state)]), backend)

        def with_physics(batch: Replayed) -> Replayed:
            physics = with_parameters(batch.physics, arrays) if knows_physics else like.physics
            return replace(batch, physics=physics)

        self._batches = deque(with_physics(template.map(read)) for template in templates)


def _arrays(batch: Replayed) -> list[np.ndarray]:
    """Returns the values of all tensors of a batch, whose states are in canonical order."""
    return [leaf.numpy(leaf.shape) for leaf in _leaves(batch)]


def _leaves(batch: Replayed) -> list[Tensor]:
    return [leaf for state in batch.states for leaf in trees.leaves(state)]


def _sizes(batch: Replayed) -> dict[str, int]:
    """Returns the sizes of the batch dims."""
    shape = math.merge_shapes(*(leaf.shape.batch for leaf in _leaves(batch)))
    return {name: int(shape.get_size(name)) for name in shape.names}


def _of_sizes(batch: Replayed, sizes: Mapping[str, int]) -> Replayed:
    """Returns a batch with other sizes of its batch dims; its values are of no matter."""

    def resize(tensor: Tensor) -> Tensor:
        first = tensor[dict.fromkeys(tensor.shape.batch.names, 0)]
        dims = math.concat_shapes(*(math.batch(**{name: sizes[name]}) for name in tensor.shape.batch.names))
        return order.reordered(math.expand(first, dims), tensor.shape.only(tensor.shape.names))

    resized = batch.map(partial(trees.tree_map, resize))
    return replace(resized, physics=with_sizes(batch.physics, resize))


def _check_fits(file: Path, sizes: Sequence[Mapping[str, int]], like: Replayed) -> None:
    """Refuses sizes that the file does not have, before memory is taken for them."""
    own = _sizes(like)
    if any(set(of) != set(own) or min(of.values(), default=1) < 1 for of in sizes):
        raise CheckpointError(f"{file.name} is of batches with other dims than {', '.join(own) or 'none'}.")
    values = sum(leaf.shape.volume for leaf in _leaves(like)) / prod(own.values())
    if values * sum(prod(of.values()) for of in sizes) > file.stat().st_size:
        raise CheckpointError(f"{file.name} is smaller than the batches that it is said to hold.")
