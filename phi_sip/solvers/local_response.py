"""How observed values depend on the state, at the state of each batch entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor, batch

from ..errors import UnsupportedError
from ..states import trees
from .least_squares import LeastSquares
from .vectors import Vectors

PROBES = 2  # random directions, by which the values are found that depend on the state
BLOCK = 2**16  # numbers that are computed side by side, with all that their derivatives keep
COPIES = "_copies"


@dataclass(frozen=True, eq=False)
class LocalResponse:
    """
    y ≈ P(x) + J (x' − x), of one batch entry.

    Attributes:
        rows: Rows of J for a sample of the values that depend on the state, shape (sample, columns).
        values: y* − P(x) + J x of these.
        seen: Columns of an observation that these values are.
        observed: How many values depend on the state.
    """

    rows: np.ndarray
    values: np.ndarray
    seen: np.ndarray
    observed: int


def local_responses(problem: LeastSquares, x: Any, target: Any, most: int) -> Sequence[LocalResponse]:
    """
    Linearizes the problem at the rows of x, by one vector–Jacobian product for each value of a sample.

    Args:
        problem: What to solve.
        x: States, native, shape (entries, columns).
        target: y*, native, shape (entries, values).
        most: All values of an entry, if these are at most so many, else half as many, drawn at random, but always the
            same.

    Raises:
        UnsupportedError: if no value of an entry depends on its state.
    """
    y, push, _ = problem.linearize(x)
    states, left = problem.numpy(x), problem.numpy(target) - problem.numpy(y)
    seen = [np.flatnonzero(entry) for entry in _depends(problem, push, states.shape)]
    if not all(map(len, seen)):
        raise UnsupportedError(
            f"No observed value of {type(problem.physics).__name__} depends on the state near x, at least in one batch "
            f"entry. Start at another x, where it does, and check what is observed."
        )
    chosen = [_sample(columns, most) for columns in seen]
    rows = _jacobian(problem, x, chosen)
    return [
        LocalResponse(rows[i][: len(own)], left[i, own] + rows[i][: len(own)] @ states[i], own, len(seen[i]))
        for i, own in enumerate(chosen)
    ]


def _depends(problem: LeastSquares, push: Callable[[Any], Any], shape: tuple[int, ...]) -> np.ndarray:
    """Tells which values depend on the state, shape (entries, values)."""
    rng = np.random.default_rng(0)
    found = np.zeros((shape[0], problem.observations.size))
    for _ in range(PROBES):
        found += abs(problem.numpy(push(problem.native(np.broadcast_to(rng.normal(size=shape[1]), shape)))))
    return found > 0


def _sample(columns: np.ndarray, most: int) -> np.ndarray:
    """Returns all of these columns, or `most` / 2 of them, in their order."""
    if len(columns) <= most:
        return columns
    return np.sort(np.random.default_rng(0).choice(columns, max(1, most // 2), replace=False))


def _jacobian(problem: LeastSquares, x: Any, chosen: Sequence[np.ndarray]) -> np.ndarray:
    """Computes the rows of J of each entry that belong to its chosen values, shape (entries, sample, columns)."""
    entries, most = len(chosen), max(map(len, chosen))
    wide, copies = side_by_side(problem, x, most)
    _, _, pull = wide.linearize(wide.states.pack(wide.states.template))
    rows = np.zeros((entries, most, wide.states.size))
    for start in range(0, most, copies):
        cotangents = np.zeros((entries, copies, wide.observations.size))
        for entry, own in enumerate(chosen):
            columns = own[start : start + copies]
            cotangents[entry, np.arange(len(columns)), columns] = 1
        found = wide.numpy(pull(wide.native(cotangents.reshape(entries * copies, -1))))
        count = min(copies, most - start)
        rows[:, start : start + count] = found.reshape(entries, copies, -1)[:, :count]
    return rows


def side_by_side(problem: LeastSquares, x: Any, most: int) -> tuple[LeastSquares, int]:
    """
    Returns the problem for as many copies of the states side by side as pays, or for one if it is not for more. Its
    rows are those of the first entry, then those of the second, and so on.

    Args:
        problem: Problem for the states alone.
        x: The states, native, which are the template of the problem that is returned.
        most: How many copies are of use.
    """
    state = problem.states.unpack(x)
    size = max(problem.states.size, problem.observations.size) * max(int(x.shape[0]), 1)
    count = min(most, max(1, BLOCK // size))
    if count > 1 and trees.leaves(state)[0].shape.batch:
        with suppress(Exception):  # code of the user may be for the batch dims of its states only
            return _of_copies(problem, state, count), count
    return _of_copies(problem, state, 1), 1


def _of_copies(problem: LeastSquares, state: Any, count: int) -> LeastSquares:
    """Returns the problem for copies of states, with rows entry by entry."""
    copies = batch(**{COPIES: count}) if count > 1 else math.EMPTY_SHAPE

    def copied(leaf: Tensor) -> Tensor:
        return math.expand(leaf, copies)

    many = trees.tree_map(copied, state)
    with math.precision(problem.precision):
        y = problem.physics.forward(many)
    entries = problem.states.entries & copies
    states, observations = Vectors(many, entries, problem.backend), Vectors(y, entries, problem.backend)
    return LeastSquares(problem.physics, states, observations, problem.precision)
