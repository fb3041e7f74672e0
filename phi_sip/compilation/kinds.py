"""The compiled updates of each optimizer: few, and gone with it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

KEPT = 8  # compiled updates per optimizer
FRUITLESS = 4  # compiled in a row, none of which was used again

Run = Callable[[list[Any]], Any]


class Kinds:
    """The latest kinds of update that one optimizer has made, and how each is run; `None`: step by step."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Hashable, Run | None] = OrderedDict()
        self._fruitless = 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._runs

    def find(self, key: Hashable) -> Run | None:
        """How a known kind is run."""
        self._runs.move_to_end(key)
        self._fruitless = 0
        return self._runs[key]

    def keep(self, key: Hashable, run: Run | None) -> None:
        """Adds a kind, and drops the one that has not been used for longest if there are many."""
        self._runs[key] = run
        self._fruitless += 1
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)

    @property
    def always_new(self) -> bool:
        """Whether updates keep being of a new kind, so that compiling them is in vain."""
        return self._fruitless >= FRUITLESS


_kinds: WeakKeyDictionary[Any, Kinds] = WeakKeyDictionary()


def kinds_of(optimizer: Any) -> Kinds:
    """Those of `optimizer`. It holds no reference to it."""
    return _kinds.setdefault(optimizer, Kinds())
