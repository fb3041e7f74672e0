"""The compiled updates of each optimizer: few, and gone with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from .cache import CompiledFunctions

KEPT = 16  # compiled updates per optimizer
SIZES = 1024  # of data that are remembered
ATTRIBUTE = "_phi_sip_compiled"  # of an optimizer
FRUITLESS = 4  # compiled in a row, none of which was used again

Run = Callable[[list[Any]], Any]


class Kinds(CompiledFunctions):
    """The latest kinds of update that one optimizer has made, and how each is run; `None`: step by step."""

    def __init__(self) -> None:
        super().__init__(KEPT)
        self._sizes: set[Hashable] = set()
        self._fruitless = 0

    def __reduce__(self) -> tuple[type[Kinds], tuple[()]]:
        """Copies of an optimizer, and saved ones, begin with none."""
        return Kinds, ()

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
        if len(self._sizes) > SIZES:
            self._sizes.clear()
        self._sizes.add(sizes)
        self._fruitless += counts

    def knows(self, sizes: Hashable) -> bool:
        """Returns whether there has been an update of states of these sizes."""
        return sizes in self._sizes

    @property
    def always_new(self) -> bool:
        """Whether updates keep being of a new kind, so that compiling them is in vain."""
        return self._fruitless >= FRUITLESS

    @property
    def has_just_become_always_new(self) -> bool:
        """Whether this is so since the last update."""
        return self._fruitless == FRUITLESS


def kinds_of(optimizer: Any) -> Kinds:
    """Returns those of `optimizer`, which holds them, so that both go together whatever they refer to."""
    kinds: Kinds | None = vars(optimizer).get(ATTRIBUTE)
    if kinds is None:
        kinds = Kinds()
        object.__setattr__(optimizer, ATTRIBUTE, kinds)
    return kinds
