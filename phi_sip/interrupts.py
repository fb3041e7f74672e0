"""Interrupts (Ctrl-C) and terminations that take effect between steps, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(KeyboardInterrupt):
    """The process got SIGTERM, which schedulers send some time before they kill a process."""


RAISED: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


class _Signals:
    """
    The signals that the process got and that have not taken effect yet.

    Signals of `RAISED` take effect when `check` is called, or when a second one comes. Signals that have another
    handler take effect at once. Within `uninterrupted` all of them wait. Signals that the process ignores stay
    ignored, such as Ctrl-C in a process that a shell has started in the background.
    """

    def __init__(self) -> None:
        self.depth = 0
        self._received: list[int] = []
        self._others: list[tuple[Callable[..., Any], int]] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for number in signal.valid_signals():
            handler = signal.getsignal(number)
            if handler in (signal.SIG_IGN, None):  # `None`: a handler that is not Python's and could not be restored
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
        """Lets the signals take effect that have waited and need not wait any longer."""
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


_current: _Signals | None = None  # those of the main thread, as only this thread gets signals


@contextmanager
def interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """
    Holds Ctrl-C (SIGINT) and termination (SIGTERM) back until the program checks for them. A second one takes effect
    at once, but not within `uninterrupted`.

    PhiML and Keras catch all exceptions in some places, also `KeyboardInterrupt`, so that an interrupt in the middle of
    a step can be lost. This function does nothing on other threads than the main one, as they get no signals, and with
    signals that the process ignores.

    Example:
        with interrupts_between_steps() as check_interrupt:
            for step in range(steps):
                check_interrupt()
                sip_update_weights(...)

    Yields:
        Function that raises `KeyboardInterrupt`, or its subclass `Terminated`, if it is called after a signal. The end
        of the `with` block does the same.
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
    """Lets no signal end the block, however many come. It has an effect within `interrupts_between_steps`."""
    yield from _at_depth(1)


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets a second signal end the block, which changes nothing. It has an effect within `uninterrupted`."""
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
