"""What a training step is given: an observation, and the true state where it is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from .prefetch import prefetched
from .samples import Samples


class Batch(NamedTuple):
    """
    Attributes:
        y_target: Observations y*: `Field`, `Tensor` or tree.
        x_true: True states, for tracking only; `None` where they are not known.
    """

    y_target: Any
    x_true: Any = None


def as_batch(item: Any) -> Batch:
    """A `Batch` of a batch, of a pair (y*, x_true), or of y* alone."""
    if isinstance(item, Batch):
        return item
    if isinstance(item, tuple) and len(item) == 2:
        return Batch(*item)
    return Batch(item)


def by_step(make: Callable[[int], Any], *, ahead: int = 2, threads: int = 1) -> Callable[[int], Iterator[Batch]]:
    """
    Batches that depend on nothing but the number of the step, for `train`.

    Args:
        make: Makes the batch of a step ≥ 1: a `Batch`, a pair (y*, x_true) or y* alone. `Samples` are made ahead.
        ahead: See `prefetched`; for `Samples` only.
        threads: Likewise.

    Returns:
        Generator function: `data(step)` yields the batches of this and all following steps.
    """

    def data(first_step: int) -> Iterator[Batch]:
        steps = itertools.count(first_step)
        if not isinstance(make, Samples):
            yield from map(as_batch, map(make, steps))
            return
        with closing(prefetched(make, steps, ahead=ahead, threads=threads)) as items:
            yield from map(as_batch, items)

    return data
