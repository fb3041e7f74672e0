"""Numbers that stand for objects, without keeping them alive."""

from __future__ import annotations

import itertools
import weakref
from typing import Any


class Identities:
    """Gives each object a number of its own. Unlike `id`, the number of an object that is gone is not given again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._next = itertools.count()

    def number(self, item: Any) -> int:
        """
        Returns the number of `item`.

        Raises:
            TypeError: if Python has no weak references to objects of this type.
        """
        place = id(item)
        known = self._known.get(place)
        if known is not None and known[0]() is item:
            return known[1]

        def forget(reference: weakref.ref[Any]) -> None:
            if self._known.get(place, (None,))[0] is reference:
                del self._known[place]

        self._known[place] = weakref.ref(item, forget), next(self._next)
        return self._known[place][1]


identities = Identities()
