"""The compiled updates of each optimizer: few, and gone with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from ..compilation.cache import CompiledFunctions
from ..contract.trainable import CACHE, CompilingTrainable
from ..contract.update import UpdateRequest

KEPT = 16  # compiled updates per optimizer
REMEMBERED = 256  # updates, as to what else than states they depend on
MOST = 48  # compiled for one optimizer: of each that is dropped, TensorFlow keeps some MB
FRUITLESS = 4  # compiled in a row, none of which was used again

Way = Callable[[CompilingTrainable, UpdateRequest], Any]
Kind = tuple[Hashable, Hashable]


class UpdateCache(CompiledFunctions):
    """The latest kinds of update that one optimizer has made, and how each is made: compiled, or step by step."""

    def __init__(self) -> None:
        super().__init__(KEPT)
        self._others: set[Hashable] = set()
        self._but_constants: set[Hashable] = set()
        self._fruitless = self._counted = 0

    def __reduce__(self) -> tuple[type[UpdateCache], tuple[()]]:
        """Copies of an optimizer, and saved ones, begin with none."""
        return UpdateCache, ()

    def find(self, key: Hashable) -> Way | None:
        """Returns how a kind is made; `None` if it is not known."""
        way = super().find(key)
        if way is not None:
            self._fruitless = 0
        return way

    def keep_kind(
        self, key: Kind, way: Way, logs: Sequence[list[Any]], *, counts: bool, but_constants: Kind | None = None
    ) -> None:
        """
        Adds a kind.

        Args:
            key: What tells its states apart, and all else.
            way: How it is made.
            logs: See `CompiledFunctions.keep`.
            counts: Whether compiling it may have been in vain.
            but_constants: The key without the tensors that decide how to compute, if there are any.
        """
        self.keep(key, way, logs)
        if len(self._others) > REMEMBERED:
            self._others.clear()
            self._but_constants.clear()
        self._others.add(key[1])
        if but_constants is not None:
            self._but_constants.add(but_constants)
        self._fruitless += counts
        self._counted += counts

    def differs_in_sizes_only(self, key: Kind) -> bool:
        """Tells whether there has been an update that differed in nothing but its states."""
        return key[1] in self._others

    def differs_in_constants_only(self, but_constants: Kind | None) -> bool:
        """
        Tells whether there has been a compiled update that differed in nothing but tensors that decide how to compute.

        Args:
            but_constants: See `keep_kind`.
        """
        return but_constants is not None and but_constants in self._but_constants

    @property
    def always_new(self) -> bool:
        """Whether updates keep being of a new kind, so that compiling them is in vain, or costs too much memory."""
        return self._fruitless >= FRUITLESS or self._counted >= MOST

    @property
    def has_just_become_always_new(self) -> bool:
        """Whether this is so since the last update."""
        return self._fruitless == FRUITLESS or self._counted == MOST


def cache_of(optimizer: Any) -> UpdateCache:
    """Returns the cache of `optimizer`, which holds it, so that both go together whatever they refer to."""
    cache: UpdateCache | None = vars(optimizer).get(CACHE)
    if cache is None:
        cache = UpdateCache()
        object.__setattr__(optimizer, CACHE, cache)
    return cache
