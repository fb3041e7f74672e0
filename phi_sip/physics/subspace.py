"""Families of states with few parameters, and the nearest state of such a family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..errors import ParameterError
from ..states import trees
from ..states.checks import check_finite, check_same_grid

DEPENDENT = 1e3  # rounding errors of a field that is left when those before it are taken away: it adds nothing


@dataclass(frozen=True, eq=False)
class AffineSubspace:
    """
    The states x = o + Σ_j w_j b_j with known fields o and b_j and any weights w_j. Called with a state, it returns the
    nearest of them:

        Π(x) = o + Σ_j q_j ⟨q_j, x − o⟩,   q_j an orthonormal basis of span{b_j}

    ⟨u, v⟩ is the sum over all cells and components of all parts of a state. The q_j are computed by Gram–Schmidt, done
    twice, for each batch entry. Fields that depend linearly on those before them are left out.

    Args:
        basis: b_1, …, b_K, one or more states like x; batch dims allowed, so that each sample can have its own.
        origin: o, a state like x; batch dims allowed. Default: 0.

    Raises:
        ParameterError: if there is no field in `basis`.
        NonFiniteError: if a field holds NaN or infinity.
        GridMismatchError: if x or `origin` is on another grid than the fields of `basis`.

    Source: Björck, "Numerics of Gram–Schmidt orthogonalization", 1994.
    """

    basis: Sequence[Any]
    origin: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.basis, (tuple, list)) or not self.basis:
            raise ParameterError(
                f"AffineSubspace: basis is {trees.describe(self.basis)}. Give a list of at least one state, "
                f"e.g. [swirl]."
            )
        check_finite("basis", tuple(self.basis), "Check how the fields were computed.")
        if self.origin is not None:
            check_finite("origin", self.origin, "Check how it was computed.")
            check_same_grid("origin", self.origin, "basis[0]", self.basis[0])

    def __call__(self, x: Any) -> Any:
        """Returns the state of the family that is nearest to x."""
        check_same_grid("basis[0]", self.basis[0], "x", x)
        with math.precision(trees.precision_of(x)):
            basis = [trees.cast(field, trees.precision_of(x)) for field in self.basis]
            difference = x if self.origin is None else trees.subtract(x, self.origin)
            kept = trees.scale(difference, 0)
            for direction in _orthonormal(basis):
                kept = trees.add(kept, _along(direction, difference))
            return kept if self.origin is None else trees.add(kept, self.origin)


def _orthonormal(fields: Sequence[Any]) -> list[Any]:
    """Returns an orthonormal basis of the span of some fields; 0 in place of those that depend on the others."""
    found: list[Any] = []
    for field in fields:
        left = field
        for _ in range(2):
            left = reduce(lambda rest, q: trees.subtract(rest, _along(q, rest)), found, left)
        whole, rest = (math.sqrt(_product(state, state)) for state in (field, left))
        adds = math.cast(rest > DEPENDENT * np.finfo(f"float{rest.dtype.precision}").eps * whole, rest.dtype)
        found.append(trees.scale(left, math.safe_div(adds, rest)))
    return found


def _along(direction: Any, state: Any) -> Any:
    """Computes q ⟨q, x⟩."""
    return trees.scale(direction, _product(direction, state))


def _product(a: Any, b: Any) -> Tensor:
    """Computes ⟨a, b⟩ of each batch entry."""
    return sum((math.sum(leaf, leaf.shape.non_batch) for leaf in trees.leaves(trees.multiply(a, b))), math.wrap(0.0))
