"""What Gaussian process regression needs of physics: found once for each, by one adjoint per observed value."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import IncompatibleShapes, Shape, Tensor, batch

from ..compilation import keys
from ..compilation.cache import CompiledFunctions
from ..compilation.objects import NoKeyError
from ..contract.physics import InvertiblePhysics
from ..errors import BoundaryError, UnsupportedError
from ..gaussian_process import Response, StateGrid, priors_of
from ..spectral.sides import Periodic, sides_of
from ..states import order, trees
from .least_squares import LeastSquares

LARGEST = 2048  # observed values
BLOCK = 2**22  # numbers that are computed side by side
PROBES = 2  # random states, by which the values are found that depend on the state

_known = CompiledFunctions(8)


def observed_response(physics: InvertiblePhysics, x: Any, y: Any) -> Response:
    """
    Returns y₀ and J of the values that depend on a state, and what the priors of its grid make of them.

    Args:
        physics: Linear process.
        x, y: A state and its observation, for their dims and geometry.

    Raises:
        UnsupportedError: see `GaussianProcess`.
    """
    state = _one_entry(trees.cast(x, 64))
    try:
        key: Hashable = keys.of_value(physics), keys.of_state(state)
    except NoKeyError:
        return _response(physics, state)
    known = _known.find(key)
    if known is None:
        response = _response(physics, state)
        _known.keep(key, lambda: response)
        return response
    found: Response = known()
    return found


def _response(physics: InvertiblePhysics, state: Any) -> Response:
    grid = state_grid(state)
    with math.precision(64):
        _check_same_for_all(physics, state)
        probed = np.concatenate([_observation(physics, state, seed) for seed in range(PROBES + 1)])
        seen = np.flatnonzero((probed[1:] != probed[0]).any(0))
        if len(seen) > LARGEST:
            raise UnsupportedError(
                f"GaussianProcess: {len(seen)} values are observed, but it is for at most {LARGEST}, as it takes an "
                f"adjoint for each. Use solver='conjugate-gradient', or observe fewer."
            )
        if not len(seen):
            raise UnsupportedError(
                f"GaussianProcess: no observed value of {type(physics).__name__} depends on the state. Check the mask, "
                f"or the points that are observed."
            )
        return Response.of(_jacobian(physics, state, seen), probed[0, seen], seen, priors_of(grid))


def _observation(physics: InvertiblePhysics, state: Any, seed: int) -> np.ndarray:
    """Returns P(0) for the seed 0, and P of a random state for another one, shape (1, values)."""
    problem = _problem(physics, state, 1)
    x = np.random.default_rng(seed).normal(size=(1, problem.states.size)) * (seed > 0)
    values: np.ndarray = np.asarray(problem.backend.numpy(problem.forward(problem.backend.as_tensor(x))), np.float64)
    return values


def _jacobian(physics: InvertiblePhysics, state: Any, seen: np.ndarray) -> np.ndarray:
    """Computes the rows of J that belong to some columns of an observation."""
    widest = max(_problem(physics, state, 1).states.size, int(seen.max()) + 1)
    side_by_side = min(len(seen), max(1, BLOCK // widest)) if trees.leaves(state)[0].shape.batch else 1
    problem = _problem(physics, state, side_by_side)
    b = problem.backend
    _, _, pull = problem.linearize(b.as_tensor(np.zeros((side_by_side, problem.states.size))))
    rows = np.empty((len(seen), problem.states.size))
    for start in range(0, len(seen), side_by_side):
        columns = seen[start : start + side_by_side]
        cotangents = np.zeros((side_by_side, problem.observations.size))
        cotangents[np.arange(len(columns)), columns] = 1
        rows[start : start + len(columns)] = b.numpy(pull(b.as_tensor(cotangents)))[: len(columns)]
    return rows


def _problem(physics: InvertiblePhysics, state: Any, count: int) -> LeastSquares:
    """Returns the problem for `count` states side by side, along a batch dim that the user's states have."""
    many = trees.tree_map(lambda leaf: _repeated(leaf, count), state)
    y = physics.forward(many)
    return LeastSquares.of(physics, y, many, y)


def _one_entry(state: Any) -> Any:
    """Returns the state of one batch entry, with all batch dims, which code of the user may expect."""
    return trees.tree_map(lambda leaf: leaf[dict.fromkeys(leaf.shape.batch.names, slice(0, 1))], state)


def _repeated(leaf: Tensor, count: int) -> Tensor:
    """Returns `count` times the same entry, along the first batch dim."""
    if count == 1:
        return leaf
    first = leaf.shape.batch.names[0]
    return math.expand(leaf[{first: 0}], batch(**{first: count}))


def _check_same_for_all(physics: InvertiblePhysics, state: Any) -> None:
    """Refuses physics that is another one for each batch entry."""
    message = (
        f"GaussianProcess: parameters of {type(physics).__name__} differ between batch entries, but it keeps what it "
        f"computes for one physics. Invert one entry after the other, or use another solver."
    )
    try:
        y = physics.forward(state)
    except IncompatibleShapes as error:  # a batch of parameters meets one state
        raise UnsupportedError(message) from error
    if math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(y))).volume > 1:
        raise UnsupportedError(message)


def state_grid(state: Any) -> StateGrid:
    """
    Returns the grid of a state without batch dims; that of a `Tensor` has cells of size 1 and no periodic axis.

    Raises:
        UnsupportedError: if the state is no single field or tensor on a grid.
    """
    leaves = trees.leaves(state)
    if len(leaves) != 1 or not leaves[0].shape.spatial:
        raise UnsupportedError(
            f"GaussianProcess: a state is {trees.describe(state)}, but its prior is that of one field on a grid. Give "
            f"a centered Field, or a Tensor with spatial dims."
        )
    columns = order.components_by_name(leaves[0]).shape.non_batch
    columns = columns.only(order.canonical(columns), reorder=True)
    axes = columns.spatial.names
    lengths = [_length(state, columns, axis) for axis in axes]
    periodic = [_is_periodic(state, axis) for axis in axes]
    return StateGrid(columns.sizes, tuple(columns.index(axis) for axis in axes), tuple(lengths), tuple(periodic))


def _length(state: Any, columns: Shape, axis: str) -> float:
    if isinstance(state, Field):
        return float(state.bounds.size.vector[axis])
    return float(columns.get_size(axis))


def _is_periodic(state: Any, axis: str) -> bool:
    if not isinstance(state, Field):
        return False
    try:
        return sides_of(state.boundary, axis)[0] == Periodic()
    except BoundaryError:
        return False
