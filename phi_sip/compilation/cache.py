"""Compiled functions by what they compute: few, the latest ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any

Compiled = Callable[..., Any]


class CompiledFunctions:
    """
    The compiled functions that were used last.

    Args:
        kept: How many are kept. What is compiled holds memory that frameworks give back when it is dropped.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._runs: OrderedDict[Hashable, Compiled | None] = OrderedDict()
        self._lock = RLock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._runs

    def __len__(self) -> int:
        return len(self._runs)

    def find(self, key: Hashable) -> Compiled | None:
        """Returns the function with a key; `None` if it is not known, or one that is not compiled."""
        with self._lock:
            if key in self._runs:
                self._runs.move_to_end(key)
            return self._runs.get(key)

    def made(self, key: Hashable, make: Callable[[], Compiled]) -> Compiled:
        """Returns the function with a key, which is made if there is none."""
        function = self.find(key)
        if function is None:
            function = make()
            self.keep(key, function)
        return function

    def keep(self, key: Hashable, function: Compiled | None) -> None:
        """Adds a function, and drops the one that has not been used for longest if there are too many."""
        with self._lock:
            self._runs[key] = function
            self._runs.move_to_end(key)
            while len(self._runs) > self._kept:
                self._runs.popitem(last=False)

    def cache_clear(self) -> None:
        """Drops all functions."""
        self._runs.clear()
