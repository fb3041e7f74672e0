"""What minimizations split off from x, each with its prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from phiml.backend import Backend

from ..spectral.differences import Difference

RELAXATION = 1.8


@dataclass(frozen=True)
class Split(ABC):
    """
    z = A x, split off from x: z takes the prior on A x, and u is its scaled dual.

    Attributes:
        backend: Framework of the native tensors.
    """

    backend: Backend

    @abstractmethod
    def apply(self, x: Any) -> Any:
        """Computes A x."""

    @abstractmethod
    def adjoint(self, values: Any) -> Any:
        """Computes Aᵀ values."""

    @abstractmethod
    def dual(self, moved: Any) -> Any:
        """Computes u for w = `moved`."""

    def move(self, x: Any, z: Any, u: Any) -> tuple[Any, Any]:
        """
        Computes z and u after a step: of w = α A x + (1 − α) z + u, the dual is u, and the rest is z.

        Args:
            x: α x, shape (rows, *axes).
            z: Values split off so far.
            u: Their scaled dual so far.
        """
        moved = self.apply(x) + (u - (RELAXATION - 1) * z)
        dual = self.dual(moved)
        return moved - dual, dual


@dataclass(frozen=True)
class Edges(Split):
    """A = D along one axis. z is what is left of w when its size shrinks by 1, and u what is cut off."""

    difference: Difference

    def apply(self, x: Any) -> Any:
        return self.difference.apply(x)

    def adjoint(self, values: Any) -> Any:
        return self.difference.adjoint(values)

    def dual(self, moved: Any) -> Any:
        return self.backend.clip(moved, -1.0, 1.0)


@dataclass(frozen=True)
class Bound(Split):
    """A = 1. z is at least `floor`, and u is how far w was below it."""

    floor: Any

    def apply(self, x: Any) -> Any:
        return x

    def adjoint(self, values: Any) -> Any:
        return values

    def dual(self, moved: Any) -> Any:
        return self.backend.minimum(moved - self.floor, 0.0)


@dataclass(frozen=True)
class Points(Split):
    """
    A = 1. z is what is left of w when its size shrinks by `limit`, and at least `floor` if there is one; u is what is
    cut off.
    """

    limit: Any
    floor: Any

    def apply(self, x: Any) -> Any:
        return x

    def adjoint(self, values: Any) -> Any:
        return values

    def dual(self, moved: Any) -> Any:
        cut = self.backend.maximum(self.backend.minimum(moved, self.limit), -self.limit)
        return cut if self.floor is None else self.backend.minimum(cut, moved - self.floor)
