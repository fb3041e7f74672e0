"""Ctrl-C and termination between steps, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as schedulers do some time before they kill it."""


RAISED: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


class _Signals:
    """
    The signals that have come and not acted yet. Those of `RAISED` wait to be asked for, or for a second one; those for
    which someone else has a handler act at once. Within `uninterrupted` all wait. Those that the process ignores, as
    one that a shell has started in the background ignores Ctrl-C, stay ignored.
    """

    def __init__(self) -> None:
        self.depth = 0
        self._received: list[int] = []
        self._others: list[tuple[Callable[..., Any], int]] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for number in signal.valid_signals():
            handler = signal.getsignal(number)
            if handler in (signal.SIG_IGN, None):  # `None`: someone's below Python, which could not be put back
                continue
            if number in RAISED:
                self._before[number] = signal.signal(number, self._remember)
            elif callable(handler):
                self._before[number] = signal.signal(number, self._passed_on(handler))
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        if self._received:
            raise RAISED[self._received[-1]]

    def act(self) -> None:
        """What has waited and need not wait any more."""
        if self.depth == 0:
            while self._others:
                handler, number = self._others.pop(0)
                handler(number, None)
            if len(self._received) > 1:
                self.check()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)
        self.act()

    def _passed_on(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def pass_on(number: int, frame: FrameType | None) -> None:
            if self.depth == 0:
                handler(number, frame)
            else:
                self._others.append((handler, number))

        return pass_on


_current: _Signals | None = None  # of the main thread, which alone gets signals


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """
    Holds Ctrl-C (SIGINT) and termination (SIGTERM) back until they are asked for. A second one takes effect at once,
    but not within `uninterrupted`.

    PhiML and Keras catch every exception in places, a `KeyboardInterrupt` too, so that one that comes in the middle of
    a step can be lost. Does nothing outside the main thread, which gets no signals, and with signals that the process
    ignores.

    Example:
        with interrupts_between_steps() as check_interrupt:
            for step in range(steps):
                check_interrupt()
                sip_update_weights(...)

    Yields:
        Raises `KeyboardInterrupt`, or `Terminated`, which is one, when called after a signal; so does the end of the
        `with` block.
    """
    global _current
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    outer = _current
    with _Signals() as signals:
        _current = signals
        try:
            yield signals.check
            signals.check()
        finally:
            _current = outer


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within `interrupts_between_steps`: what is in the block happens whole, whatever signals come, how many ever."""
    yield from _at_depth(1)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within `uninterrupted`: what is in the block may be ended by a second signal, as it changes nothing."""
    yield from _at_depth(0)


def _at_depth(depth: int) -> Iterator[None]:
    signals = _current if threading.current_thread() is threading.main_thread() else None
    if signals is None:
        yield
        return
    before = signals.depth
    signals.depth = depth
    try:
        signals.act()
        yield
    finally:
        signals.depth = before
    signals.act()
