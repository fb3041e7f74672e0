"""What Gaussian process regression needs of physics: found once for each, by one adjoint per observed value."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from threading import RLock
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import IncompatibleShapes, Shape, Tensor, batch

from ..compilation import keys
from ..compilation.objects import NoKeyError
from ..contract.physics import InvertiblePhysics
from ..errors import BoundaryError, UnsupportedError
from ..gaussian_process import Constants, Response, StateGrid
from ..regularization.field_prior import FieldPrior
from ..spectral.sides import Insulated, Periodic, Side, sides_of
from ..states import order, trees
from .entries import without_noise
from .least_squares import LeastSquares

LARGEST = 2048  # observed values that all count
SAMPLE = 512  # that count where there are more
BLOCK = 2**19  # numbers that are computed side by side, with all that their derivatives keep
PROBES = 2  # random states, by which the values are found that depend on the state
ROUNDING = {64: 1e-13, 32: 1e-8}  # of J, per bits in which it is found, see `Response`
KEPT = 2**29  # bytes of all responses that are kept; the latest one is, however large


class _Kept:
    """The latest responses."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, Response] = OrderedDict()
        self._lock = RLock()

    def get(self, key: Hashable) -> Response | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def add(self, key: Hashable, response: Response) -> None:
        with self._lock:
            self._found[key] = response
            while len(self._found) > 1 and sum(kept.size for kept in self._found.values()) > KEPT:
                self._found.popitem(last=False)


_kept = _Kept()


def observed_response(physics: InvertiblePhysics, x: Any, prior: FieldPrior) -> Response:
    """
    Returns y₀ and J of the values that depend on a state, and what the priors make of them. Of more than
    2,048 values these are but 512, drawn at random, but always the same.

    Args:
        physics: Linear process.
        x: A state, for its dims and geometry.
        prior: That of the rule of the physics.

    Raises:
        UnsupportedError: see `MaximumAPosteriori`, or if the physics is another one for each batch entry.
    """
    state = _one_entry(x)
    try:
        key: Hashable = keys.of_value((without_noise(physics), prior.gaussian)), keys.of_state(state)
    except NoKeyError:
        return _response(physics, state, prior)
    known = _kept.get(key)
    if known is None:
        known = _response(physics, state, prior)
        _kept.add(key, known)
    return known


def _response(physics: InvertiblePhysics, state: Any, prior: FieldPrior) -> Response:
    grid = state_grid(state)
    state = _exact(physics, state)
    precision = trees.precision_of(state)
    with math.precision(precision):
        probed = np.concatenate([_observation(physics, state, seed) for seed in range(PROBES + 1)])
        seen = np.flatnonzero((probed[1:] != probed[0]).any(0))
        observed = len(seen)
        if observed > LARGEST:
            seen = np.sort(np.random.default_rng(0).choice(seen, SAMPLE, replace=False))
        if not len(seen):
            raise UnsupportedError(
                f"No observed value of {type(physics).__name__} depends on the state. Check the mask, "
                f"or the points that are observed."
            )
        rows = _jacobian(physics, state, seen)
    if not rows.any():
        raise UnsupportedError(
            f"The values that {type(physics).__name__} observes change with the state, but have no "
            f"derivative at 0. Is it linear, as is_linear says?"
        )
    rounding = ROUNDING.get(precision, ROUNDING[32])
    gaussian = prior.gaussian
    constants = Constants.of(grid, rows) if gaussian.frees_constant(state) else Constants.none(rows)
    return Response.of(rows, probed[0, seen], seen, gaussian.priors(grid, state), constants, rounding, observed)


def _exact(physics: InvertiblePhysics, state: Any) -> Any:
    """
    Returns the state in double precision if the physics can be evaluated on it. Code of the user may have parameters in
    single precision, which do not go together with it.

    Raises:
        UnsupportedError: if the physics is another one for each batch entry, though its fields say nothing of it.
    """
    exact = trees.cast(state, 64)
    try:
        with math.precision(64):
            physics.forward(exact)
    except IncompatibleShapes as error:  # a batch of parameters meets one state
        raise UnsupportedError(_differs(physics)) from error
    except Exception:
        exact = state
    with math.precision(trees.precision_of(exact)):
        y = physics.forward(exact)
    if math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(y))).volume > 1:
        raise UnsupportedError(_differs(physics))
    return exact


def _differs(physics: InvertiblePhysics) -> str:
    return (
        f"What {type(physics).__name__} computes differs between batch entries by parameters that are "
        f"no fields of it. Make them fields, or `arguments` of DifferentiablePhysics: tensors with batch dims."
    )


def _observation(physics: InvertiblePhysics, state: Any, seed: int) -> np.ndarray:
    """Returns P(0) for the seed 0, and P of a random state for another one, shape (1, values)."""
    problem = _problem(physics, state, 1)
    x = np.random.default_rng(seed).normal(size=(1, problem.states.size)) * (seed > 0)
    return problem.numpy(problem.forward(problem.native(x)))


def _jacobian(physics: InvertiblePhysics, state: Any, seen: np.ndarray) -> np.ndarray:
    """Computes the rows of J that belong to some columns of an observation."""
    problem, side_by_side = _side_by_side(physics, state, len(seen), int(seen.max()) + 1)
    _, _, pull = problem.linearize(problem.native(np.zeros((side_by_side, problem.states.size))))
    rows = np.empty((len(seen), problem.states.size))
    for start in range(0, len(seen), side_by_side):
        columns = seen[start : start + side_by_side]
        cotangents = np.zeros((side_by_side, problem.observations.size))
        cotangents[np.arange(len(columns)), columns] = 1
        rows[start : start + len(columns)] = problem.numpy(pull(problem.native(cotangents)))[: len(columns)]
    return rows


def _side_by_side(physics: InvertiblePhysics, state: Any, values: int, width: int) -> tuple[LeastSquares, int]:
    """Returns the problem for as many states side by side as pays, or for one if the physics is for a batch of one."""
    alone = _problem(physics, state, 1)
    count = min(values, max(1, BLOCK // max(alone.states.size, width)))
    if count == 1 or not trees.leaves(state)[0].shape.batch:
        return alone, 1
    try:
        return _problem(physics, state, count), count
    except IncompatibleShapes:
        return alone, 1


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


def state_grid(state: Any) -> StateGrid:
    """
    Returns the grid of a state without batch dims; that of a `Tensor` has cells of size 1 and no periodic axis.

    Raises:
        UnsupportedError: if the state is no single field or tensor on a grid.
    """
    if not is_one_field(state):
        raise UnsupportedError(
            f"A state is {trees.describe(state)}, but a Gaussian prior is that of one field on a grid. Give "
            f"a centered Field, or a Tensor with spatial dims."
        )
    columns = order.columns_of(trees.leaves(state)[0])
    axes = columns.spatial.names
    lengths = [_length(state, columns, axis) for axis in axes]
    periodic = [_is_periodic(state, axis) for axis in axes]
    return StateGrid(columns.sizes, tuple(columns.index(axis) for axis in axes), tuple(lengths), tuple(periodic))


def sides_of_state(state: Any) -> tuple[tuple[Side, Side], ...]:
    """Returns the sides of the axes of `state_grid`; those that have no basis count as insulated."""
    return tuple(_sides(state, axis) for axis in order.columns_of(trees.leaves(state)[0]).spatial.names)


def is_one_field(state: Any) -> bool:
    """Tells whether a state is a single field or tensor on a grid."""
    leaves = trees.leaves(state)
    return len(leaves) == 1 and bool(leaves[0].shape.spatial)


def _length(state: Any, columns: Shape, axis: str) -> float:
    if isinstance(state, Field):
        return float(state.bounds.size.vector[axis])
    return float(columns.get_size(axis))


def _is_periodic(state: Any, axis: str) -> bool:
    return _sides(state, axis)[0] == Periodic()


def _sides(state: Any, axis: str) -> tuple[Side, Side]:
    """Returns the sides of an axis, insulated ones where there is no basis for what they are."""
    with suppress(BoundaryError):
        if isinstance(state, Field):
            return sides_of(state.boundary, axis)
    return Insulated(), Insulated()
