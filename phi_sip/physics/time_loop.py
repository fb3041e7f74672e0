"""Time steps, as a loop where they are compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from phiml import math
from phiml.backend import choose_backend
from phiml.math import Tensor, channel

from ..compilation import keys
from ..compilation.objects import NoKeyError
from ..contract.operations import CompilingOperations
from ..errors import GridMismatchError
from ..frameworks import operations_of
from ..spectral.substeps import Substeps
from ..states import order, trees

WORTH_A_LOOP = 3  # fewer steps are compiled one by one
TIME = "time"  # dim along which steps follow each other

TimeStep = Callable[[Any, Any], tuple[Any, Any]]


def repeated(advance: Callable[[Any], Any], state: Any, steps: int) -> Any:
    """
    Computes advance(… advance(state)), `steps` times, with all derivatives. Within a graph this is a loop, so that to
    compile it takes no longer for many steps than for two.

    The first step is made before the loop, as it may give the state what it keeps from then on: dims, a type, a
    boundary. Where later steps change any of these, all are compiled one by one.

    Args:
        advance: Makes one step of a state: `Field`, `Tensor` or tree.
        state: First state.
        steps: How many steps, at least 1.
    """
    state = advance(state)
    if steps > WORTH_A_LOOP and not all(leaf.available for leaf in trees.leaves(state)):
        try:
            return _loop(advance, state, steps - 1)
        except (_ChangedError, NoKeyError):
            pass
    for _ in range(steps - 1):
        state = advance(state)
    return state


def repeated_in_parts(advance: Callable[[Tensor], Tensor], state: Tensor, steps: int, parts: Substeps) -> Tensor:
    """
    Computes `steps` time steps of a tensor, each taken in so many parts, with all derivatives.

    Args:
        advance: Makes one part of a step, and keeps dims and type.
        state: First state.
        steps: How many steps, at least 1.
        parts: In how many parts each is taken.
    """
    shape = state.shape

    def step(native: Any) -> Any:
        return order.native(advance(math.reshaped_tensor(native, [*shape], convert=False)), shape)

    end = parts.repeated(operations_of(state.default_backend), step, order.native(state, shape), steps)
    return math.reshaped_tensor(end, [*shape], convert=False)


def _loop(advance: Callable[[Any], Any], state: Any, steps: int) -> Any:
    backend = choose_backend(*trees.natives(state))
    state = trees.in_canonical_order(trees.to_backend(state, backend))
    kind = keys.of_state(state)

    def step(natives: Sequence[Any]) -> tuple[Any, ...]:
        later = trees.in_canonical_order(trees.to_backend(advance(trees.with_natives(state, natives)), backend))
        if keys.of_state(later) != kind:
            raise _ChangedError
        return tuple(trees.natives(later))

    end = operations_of(backend).repeated(step, tuple(trees.natives(state)), steps)
    return trees.with_natives(state, end)


def in_time(step: TimeStep, state: Any, inputs: Any, count: int) -> tuple[Any, Any]:
    """
    Computes (u_{t+1}, k_t) = step(u_t, a_t) for t < n. Where it is compiled, it is compiled as a loop, see `repeated`.

    Args:
        step: Maps a state and an input to the next state and what is kept of the step, a state or an empty tuple.
        state: u_0.
        inputs: State whose leaves have the dim `time` of size n; a_t is its slice t.
        count: n ≥ 1.

    Returns:
        u_n, and what was kept, with the dim `time`.

    Raises:
        GridMismatchError: if grid, boundary or dims of what is kept change from step to step.
    """
    if all(leaf.available for tree in (state, inputs) for leaf in trees.leaves(tree)):
        return _one_by_one(step, state, inputs, count)
    try:
        return _scanned(step, state, inputs, count)
    except (_ChangedError, NoKeyError):
        return _one_by_one(step, state, inputs, count)


def _one_by_one(step: TimeStep, state: Any, inputs: Any, count: int) -> tuple[Any, Any]:
    path: list[Any] = []
    for t in range(count):
        state, kept = step(state, at_time(inputs, t))
        path.append(trees.in_canonical_order(kept))
    kinds = {keys.of_state(kept) for kept in path}
    if len(kinds) > 1:
        raise GridMismatchError(
            f"The states of a path, {trees.describe(path[0])}, change their grid, boundary or dims from step to step, "
            f"so that they are no sequence along the dim '{TIME}'. Observe the last state only."
        )
    rows = zip(*(trees.leaves(kept, path[0]) for kept in path), strict=True)
    return state, trees.with_leaves(path[0], [_stacked(row) for row in rows])


def _stacked(row: Sequence[Tensor]) -> Tensor:
    """Returns tensors one after the other in time, which is stored first."""
    time = channel(**{TIME: len(row)})
    return order.reordered(math.stack(list(row), time), math.concat_shapes(time, row[0].shape))


def _scanned(step: TimeStep, state: Any, inputs: Any, count: int) -> tuple[Any, Any]:
    given = at_time(inputs, 0)
    state, kept = step(state, given)
    rows = [_with_time_first(leaf, like) for leaf, like in zip(trees.leaves(inputs), trees.leaves(given), strict=True)]
    backend = choose_backend(*trees.natives(state), *trees.natives(kept), *rows)
    state, kept = (trees.in_canonical_order(trees.to_backend(tree, backend)) for tree in (state, kept))
    kinds = keys.of_state(state), keys.of_state(kept)

    def native_step(values: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        made = step(trees.with_natives(state, values), trees.with_natives(given, row))
        following, output = (trees.in_canonical_order(trees.to_backend(tree, backend)) for tree in made)
        if (keys.of_state(following), keys.of_state(output)) != kinds:
            raise _ChangedError
        return trees.natives(following), trees.natives(output)

    remaining = [row[1:] for row in rows]
    framework = cast("CompilingOperations", operations_of(backend))
    end, outputs = framework.scan(native_step, trees.natives(state), trees.natives(kept), remaining, count - 1)
    time = channel(**{TIME: count})
    stacked = [
        math.reshaped_tensor(output, [time, *leaf.shape], convert=False)
        for output, leaf in zip(outputs, trees.leaves(kept), strict=True)
    ]
    return trees.with_natives(state, end), trees.with_leaves(kept, stacked)


def at_time(tree: Any, step: int) -> Any:
    """Returns the slice of a state at a step."""
    return trees.tree_map(lambda leaf: leaf[{TIME: step}], tree)


def _with_time_first(leaf: Tensor, like: Tensor) -> Any:
    """Returns native values with the time as their first axis, the others as in one slice."""
    return order.native(leaf, leaf.shape.only((TIME, *like.shape.names), reorder=True))


class _ChangedError(Exception):
    """A step returns a state of another kind than it was given."""
