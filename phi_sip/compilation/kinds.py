"""The compiled updates of each optimizer: few, and gone with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

from .cache import CompiledFunctions

KEPT = 16  # compiled updates per optimizer
FRUITLESS = 4  # compiled in a row, none of which was used again

Run = Callable[[list[Any]], Any]


class Kinds(CompiledFunctions):
    """The latest kinds of update that one optimizer has made, and how each is run; `None`: step by step."""

    def __init__(self) -> None:
        super().__init__(KEPT)
        self._sizes: set[Hashable] = set()
        self._fruitless = 0

    def find(self, key: Hashable) -> Run | None:
        """Returns how a known kind is run."""
        self._fruitless = 0
        return super().find(key)

    def keep(self, key: Hashable, run: Run | None, *, sizes: Hashable = None, counts: bool = True) -> None:
        """
        Adds a kind.

        Args:
            key: What tells it apart.
            run: How it is run.
            sizes: What tells its states apart.
            counts: Whether compiling it may have been in vain.
        """
        super().keep(key, run)
        self._sizes.add(sizes)
        self._fruitless += counts

    def knows(self, sizes: Hashable) -> bool:
        """Returns whether there has been an update of states of these sizes."""
        return sizes in self._sizes

    @property
    def always_new(self) -> bool:
        """Whether updates keep being of a new kind, so that compiling them is in vain."""
        return self._fruitless >= FRUITLESS


_kinds: WeakKeyDictionary[Any, Kinds] = WeakKeyDictionary()


def kinds_of(optimizer: Any) -> Kinds:
    """Returns those of `optimizer`, to which they hold no reference."""
    return _kinds.setdefault(optimizer, Kinds())
