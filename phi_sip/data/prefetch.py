"""Data that other threads make ahead of time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ..errors import ParameterError, SipError, UnsupportedError
from .samples import Samples

Item = TypeVar("Item")
THREAD_NAME = "phi_sip.data.prefetched"


def prefetched(
    make: Callable[[int], Item], steps: Iterable[int], *, ahead: int = 2, threads: int = 1
) -> Generator[Item, None, None]:
    """
    Yields make(s₁), make(s₂), … in this order, computed on other threads while the loop is busy.

    The items are those of `map(make, steps)`, whatever the timing and the number of threads, if `make` depends on its
    argument only. The loop waits least if `make` spends its time in code that releases Python's global lock: large
    NumPy operations, or reading files.

    PhiFlow's precision and default backend belong to the whole process, not to a thread. On other threads `make` must
    neither set nor read them, and therefore not make fields or tensors. There are two ways to do without:

    - `make` is `Samples`: the samples are drawn on the threads and finished in the loop, with its precision and
      backend. `heat_rectangle_samples`, `smooth_field_samples`, `point_source_samples` and `heat_photograph_samples`
      return such objects.
    - `make` returns arrays, and the loop makes fields of them.

    `make` may use NumPy, SciPy and files. Random numbers must come from a generator of its own, such as
    `numpy.random.default_rng(step)`, as all threads share the global one.

    Example:
        for x in prefetched(heat_rectangle_samples(batch(batch=128), spatial(x=64, y=64)), range(1000)):
            ...
        for values in prefetched(lambda step: numpy.load(f"{step}.npy"), range(1000), ahead=4, threads=2):
            ...

    Nothing is computed before the loop takes the first item. When the loop ends, for whatever reason, the items under
    way are finished, no others are begun, and no thread is left. `close()` ends an iterator that is not in a loop.

    Args:
        make: Function of a step or seed, which is called once for each.
        steps: Iterable of ints, which may be endless. The loop reads it `ahead` items early.
        ahead: Largest number ≥ 1 of items that are ready or under way while the loop uses the one before. Memory grows
            with it.
        threads: Number ≥ 1 of threads, at most `ahead + 1`.

    Returns:
        Iterator over the items.

    Raises:
        ParameterError: if `ahead` or `threads` is out of range.
        SipError: by the iterator, if `make` raised an error for an item, which is the `__cause__`.
    """
    if ahead < 1:
        raise ParameterError(f"prefetched: ahead = {ahead}, but it must be ≥ 1. Without prefetching: map(make, steps).")
    if not 1 <= threads <= ahead + 1:
        raise ParameterError(
            f"prefetched: threads = {threads}, but with ahead = {ahead} it must be from 1 to {ahead + 1}: "
            f"no more items are under way at once. Give fewer threads or a larger ahead."
        )
    if isinstance(make, Samples):
        return _in_order(make.draw, make.finish, steps, ahead, threads)
    return _in_order(make, _as_it_is, steps, ahead, threads)


def _in_order(
    draw: Callable[[int], Any], finish: Callable[[Any], Item], steps: Iterable[int], ahead: int, threads: int
) -> Generator[Item, None, None]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix=THREAD_NAME)
    waiting: deque[tuple[int, Future[Any]]] = deque()
    try:
        for step in steps:
            waiting.append((step, pool.submit(draw, step)))
            if len(waiting) > ahead:
                yield finish(_result(*waiting.popleft()))
        while waiting:
            yield finish(_result(*waiting.popleft()))
    finally:
        pool.shutdown(cancel_futures=True)


def _result(step: int, drawn: Future[Any]) -> Any:
    failure = drawn.exception()
    if failure is not None:
        raise SipError(
            f"prefetched: no item for step {step}, as making it raised {type(failure).__name__}: {failure}"
        ) from failure
    return drawn.result()


def _as_it_is(item: Item) -> Item:
    return item


def refuse_on_prefetching_thread(owner: str) -> None:
    """
    Refuses to make fields on a thread of `prefetched`, as they depend on PhiFlow's precision and backend.

    Raises:
        UnsupportedError: if this is such a thread.
    """
    if threading.current_thread().name.startswith(THREAD_NAME):
        raise UnsupportedError(
            f"{owner} makes fields in PhiFlow's precision and on its backend, which other threads may be changing. "
            f"Give prefetched samples instead of a function that calls {owner}, "
            f"e.g. prefetched(heat_rectangle_samples(...), steps); see phi_sip.data.Samples."
        )
