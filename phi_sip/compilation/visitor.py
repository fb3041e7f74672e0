"""What goes through an object and makes its key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any


class Visitor(ABC):
    """
    Goes through an object and all that it holds. The functions that know one kind of object are given it.

    Attributes:
        values_are_inputs: Whether tensors and numbers that `inputs.map_inputs` replaces count by dims and type only.
        closures_are_inputs: Whether the same holds for tensors that functions keep, see `closures`.
        constants_count: Whether the values of tensors count that dataclasses list in `constants`.
    """

    values_are_inputs: bool
    constants_count: bool
    closures_are_inputs: bool

    @abstractmethod
    def of(self, item: Any) -> Hashable:
        """Returns the key of `item`."""

    @abstractmethod
    def by_value(self, item: Any) -> Hashable:
        """Returns the key of something whose tensors become part of what is compiled."""

    @abstractmethod
    def count(self, size: int) -> None:
        """
        Adds the bytes of an array to those that are compared.

        Raises:
            NoKeyError: if they are too many to be compared at every step.
        """
