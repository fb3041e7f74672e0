"""Compiled functions by what they compute: few, the latest ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
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
        self._logs: dict[Hashable, Sequence[list[Any]]] = {}
        self._lock = RLock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._runs

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def logs(self) -> dict[int, list[Any]]:
        """Lists, by id, to which the functions have added something when they were compiled, see `keys.lists_in`."""
        with self._lock:
            return {id(log): log for logs in self._logs.values() for log in logs}

    def find(self, key: Hashable) -> Compiled | None:
        """Returns the function with a key; `None` if it is not known, or one that is not compiled."""
        with self._lock:
            if key in self._runs:
                self._runs.move_to_end(key)
            return self._runs.get(key)

    def keep(self, key: Hashable, function: Compiled | None, logs: Sequence[list[Any]] = ()) -> None:
        """
        Adds a function, and drops the one that has not been used for longest if there are too many.

        Args:
            key: What tells it apart.
            function: What is compiled; `None` for what is not.
            logs: Lists to which it added something when it was compiled.
        """
        with self._lock:
            self._runs[key] = function
            self._runs.move_to_end(key)
            self._logs[key] = logs
            while len(self._runs) > self._kept:
                dropped, _ = self._runs.popitem(last=False)
                del self._logs[dropped]

    def cache_clear(self) -> None:
        """Drops all functions."""
        with self._lock:
            self._runs.clear()
            self._logs.clear()
