"""Ctrl-C between steps, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """
    Holds Ctrl-C (SIGINT) back until it is asked for. A second one takes effect at once.

    PhiML and Keras catch every exception in places, a `KeyboardInterrupt` too, so that one that comes in the middle of
    a step can be lost. Does nothing outside the main thread, which gets no signals.

    Example:
        with interrupts_between_steps() as check_interrupt:
            for step in range(steps):
                check_interrupt()
                sip_update_weights(...)

    Yields:
        Raises `KeyboardInterrupt` when called if there was a Ctrl-C; so does the end of the `with` block.
    """
    interrupted = threading.Event()

    def check() -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt

    def remember(number: int, frame: FrameType | None) -> None:
        check()
        interrupted.set()

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, remember)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, before)
