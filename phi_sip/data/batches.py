"""Batches of a training: observations, and the true states where they are known."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError
from .prefetch import prefetched
from .samples import Samples


class _Pair(NamedTuple):
    y_target: Any
    x_true: Any = None


class Batch(_Pair):
    """
    Observations and true states of one training step, and the physics that made them. As a tuple it is the pair
    (y*, x_true).

    Args:
        y_target: Observations y*: `Field`, `Tensor` or tree.
        x_true: True states, which are only compared with; `None` if they are not known.
        physics: The process that made them, with its known parameters, such as the diffusivity of each sample:
            `HeatEquation(math.tensor(nu, batch("batch")), 8.0)`. `None`: that of the run.
    """

    physics: InvertiblePhysics | None

    def __new__(cls, y_target: Any, x_true: Any = None, physics: InvertiblePhysics | None = None) -> Batch:
        made = super().__new__(cls, y_target, x_true)
        made.physics = physics
        return made

    def _replace(self, **changes: Any) -> Batch:
        return Batch(**{"y_target": self.y_target, "x_true": self.x_true, "physics": self.physics, **changes})


def as_batch(item: Any) -> Batch:
    """Returns a `Batch` for a batch, a pair (y*, x_true), or y* alone."""
    if isinstance(item, Batch):
        return item
    if isinstance(item, tuple) and len(item) == 2:
        return Batch(*item)
    return Batch(item)


def by_step(
    make: Callable[[int], Any], *, ahead: int | None = None, threads: int | None = None
) -> Callable[[int], Iterator[Batch]]:
    """
    Returns training data for `train` whose batches depend on the number of the step only.

    Args:
        make: Function that returns the batch of a step ≥ 1: a `Batch`, a pair (y*, x_true) or y* alone. `Samples` are
            made ahead of time on other threads.
        ahead: See `prefetched`; for `Samples` only. Default: 2.
        threads: See `prefetched`; for `Samples` only. Default: 1.

    Returns:
        Generator function: `data(step)` yields the batches of this step and all following ones.

    Raises:
        ParameterError: if `make` is no function of a step that returns its batch, or `ahead` or `threads` is given for
            a function that is not `Samples`.
    """
    _check_makes_a_batch(make)
    if not isinstance(make, Samples):
        if ahead is not None or threads is not None:
            raise ParameterError("by_step: ahead and threads are for Samples. What a function makes is not made ahead.")
        return lambda first_step: (as_batch(make(step)) for step in itertools.count(first_step))

    def data(first_step: int) -> Iterator[Batch]:
        steps = itertools.count(first_step)
        options = {"ahead": 2 if ahead is None else ahead, "threads": 1 if threads is None else threads}
        with closing(prefetched(make, steps, **options)) as items:
            yield from map(as_batch, items)

    return data


def _check_makes_a_batch(make: Any) -> None:
    if not callable(make):
        raise ParameterError(
            f"by_step: make is a {type(make).__name__}. Give a function that returns the batch of a step: make(step)."
        )
    if inspect.isgeneratorfunction(make):
        raise ParameterError("by_step: make yields its batches. Give it to train as it is: train(..., data=make).")
    try:
        inspect.signature(make).bind(1)
    except TypeError as error:
        raise ParameterError(f"by_step: make cannot be called with the number of a step: {error}.") from error
    except ValueError:  # some functions have no signature
        return
