"""Ctrl-C and termination between steps, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as schedulers do some time before they kill it."""


RAISED: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """
    Holds Ctrl-C (SIGINT) and termination (SIGTERM) back until they are asked for. A second one takes effect at once.

    PhiML and Keras catch every exception in places, a `KeyboardInterrupt` too, so that one that comes in the middle of
    a step can be lost. Does nothing outside the main thread, which gets no signals.

    Example:
        with interrupts_between_steps() as check_interrupt:
            for step in range(steps):
                check_interrupt()
                sip_update_weights(...)

    Yields:
        Raises `KeyboardInterrupt`, or `Terminated`, which is one, when called after a signal; so does the end of the
        `with` block.
    """
    received: list[int] = []

    def check() -> None:
        if received:
            raise RAISED[received[-1]]

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            check()

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.signal(number, remember) for number in RAISED}
    try:
        yield check
        check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
