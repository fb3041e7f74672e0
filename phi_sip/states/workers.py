"""Workers that train one network together: what is fitted to the whole batch is reduced over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from phiml import math
from phiml.math import Tensor

from ..errors import SipError


class Workers(Protocol):
    """Processes or devices, each with its part of the batch. All of them must ask for the same reductions."""

    @property
    def count(self) -> int:
        """How many there are."""

    def sum(self, native: Any) -> Any:
        """Σ over all workers of a native tensor."""

    def max(self, native: Any) -> Any:
        """Returns the largest of all workers' values, element by element."""

    def any_failed(self, failed: bool) -> bool:
        """Tells whether any worker failed, as far as is known before a graph is run."""


_TOGETHER: ContextVar[Workers | None] = ContextVar("workers", default=None)


@contextmanager
def working_together(workers: Workers | None) -> Iterator[None]:
    """Reduces over `workers` inside the block; `None`: this worker is alone."""
    token = _TOGETHER.set(workers)
    try:
        yield
    finally:
        _TOGETHER.reset(token)


def count() -> int:
    """Returns how many workers there are."""
    workers = _TOGETHER.get()
    return 1 if workers is None else workers.count


def total(values: Tensor) -> Tensor:
    """Σ over all workers; `values` as they are if this worker is alone."""
    workers = _TOGETHER.get()
    return values if workers is None else _reduced(values, workers, workers.sum)


def largest(values: Tensor) -> Tensor:
    """Returns the largest of all workers' values, element by element."""
    workers = _TOGETHER.get()
    return values if workers is None else _reduced(values, workers, workers.max)


class FailedElsewhereError(SipError):
    """What is raised on the other workers, all of which know."""


@contextmanager
def failing_together() -> Iterator[None]:
    """
    Makes what fails on one worker fail on all, so that none waits for the others and all stay alike.

    At the end of the block, and before each reduction in it, all workers agree on whether to go on.

    Raises:
        SipError: if the block succeeded here, but not on another worker.
    """
    workers = _TOGETHER.get()
    if workers is None:
        yield
        return
    try:
        yield
    except FailedElsewhereError:
        raise
    except Exception:
        workers.any_failed(True)
        raise
    _go_on_together(workers)


def _go_on_together(workers: Workers) -> None:
    if workers.any_failed(False):
        raise FailedElsewhereError(
            "Another worker could not make this update, so it was not made here either. See its message."
        )


def _reduced(values: Tensor, workers: Workers, reduce: Callable[[Any], Any]) -> Tensor:
    """
    Reduces values; a worker that failed takes part in no more reductions, but in the agreement that comes first.

    Dims are put in order: PhiML's own may differ from process to process, as it goes through sets.
    """
    _go_on_together(workers)
    order = values.shape[sorted(values.shape.names)]
    native = reduce(values.default_backend.as_tensor(values.native(order)))
    return math.reshaped_tensor(native, [*order], convert=False)
