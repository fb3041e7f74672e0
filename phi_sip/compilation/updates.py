"""The compiled updates of each optimizer: few, and gone with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from .cache import CompiledFunctions

KEPT = 16  # compiled updates per optimizer
REMEMBERED = 256  # updates, as to what else than states they depend on
ATTRIBUTE = "_phi_sip_compiled"  # of an optimizer
MOST = 48  # compiled for one optimizer: of each that is dropped, TensorFlow keeps some MB
FRUITLESS = 4  # compiled in a row, none of which was used again

Run = Callable[[list[Any]], Any]
Kind = tuple[Hashable, Hashable]


class Kinds(CompiledFunctions):
    """The latest kinds of update that one optimizer has made, and how each is run; `None`: step by step."""

    def __init__(self) -> None:
        super().__init__(KEPT)
        self._others: set[Hashable] = set()
        self._fruitless = self._counted = 0

    def __reduce__(self) -> tuple[type[Kinds], tuple[()]]:
        """Copies of an optimizer, and saved ones, begin with none."""
        return Kinds, ()

    def find(self, key: Hashable) -> Run | None:
        """Returns how a known kind is run."""
        self._fruitless = 0
        return super().find(key)

    def keep_kind(self, key: Kind, run: Run | None, logs: Sequence[list[Any]], *, counts: bool) -> None:
        """
        Adds a kind.

        Args:
            key: What tells its states apart, and all else.
            run: How it is run.
            logs: See `CompiledFunctions.keep`.
            counts: Whether compiling it may have been in vain.
        """
        self.keep(key, run, logs)
        if len(self._others) > REMEMBERED:
            self._others.clear()
        self._others.add(key[1])
        self._fruitless += counts
        self._counted += counts

    def differs_in_sizes_only(self, key: Kind) -> bool:
        """Returns whether there has been an update that differed in nothing but its states."""
        return key[1] in self._others

    @property
    def always_new(self) -> bool:
        """Whether updates keep being of a new kind, so that compiling them is in vain, or costs too much memory."""
        return self._fruitless >= FRUITLESS or self._counted >= MOST

    @property
    def has_just_become_always_new(self) -> bool:
        """Whether this is so since the last update."""
        return self._fruitless == FRUITLESS or self._counted == MOST


def kinds_of(optimizer: Any) -> Kinds:
    """Returns those of `optimizer`, which holds them, so that both go together whatever they refer to."""
    kinds: Kinds | None = vars(optimizer).get(ATTRIBUTE)
    if kinds is None:
        kinds = Kinds()
        object.__setattr__(optimizer, ATTRIBUTE, kinds)
    return kinds
