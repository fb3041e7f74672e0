"""Whether everything in an update is finite."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import and_
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.trainable import Trainable
from ..errors import NonFiniteError
from ..states import trees
from ..states.checks import non_finite


class Verdict:
    """
    Whether everything in an update is finite. Where values are known, an error is raised at once; in a graph, what is
    not finite is noted, and the update is undone at its end.

    Args:
        trainable: Network and optimizer of the update.
    """

    def __init__(self, trainable: Trainable) -> None:
        self._trainable = trainable
        self._flags: list[Any] = []
        self._gradient: Any = True

    def expect(self, finite: Any, error: Callable[[], NonFiniteError]) -> None:
        """Raises the error unless the native truth value holds; in a graph it is noted."""
        if self._trainable.is_traced:
            self._flags.append(finite)
        elif not bool(finite):
            raise error()

    def expect_finite(self, what: str, tree: Any, remedy: str) -> None:
        """Expects that a state is finite, see `expect`."""
        self.expect(self._trainable.is_finite(trees.natives(tree)), lambda: non_finite(what, tree, remedy))

    def noted(self) -> Tensor:
        """Returns whether everything is finite that was expected to be so far."""
        return reduce(and_, map(math.wrap, self._flags), math.wrap(True))

    def is_gradient_finite(self) -> bool:
        """Tells whether the gradient is finite; `True` in a graph, where `conclude` sees to it."""
        self._gradient = self._trainable.is_finite(self._trainable.gradients)
        return self._trainable.is_traced or bool(self._gradient)

    def conclude(self) -> Tensor:
        """Undoes the update in a graph unless everything was finite. Returns whether the update was made."""
        if not self._trainable.is_traced:
            return math.wrap(True)
        return math.wrap(self._trainable.restore_unless(self._flags, self._gradient))
