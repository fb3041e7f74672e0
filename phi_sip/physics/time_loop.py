"""Time steps, as a loop where they are compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phiml import math
from phiml.backend import choose_backend
from phiml.math import Tensor, channel

from ..compilation import keys
from ..compilation.objects import NoKeyError
from ..frameworks import operations_of
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
    Computes (u_{t+1}, k_t) = step(u_t, a_t) for t < n. Where it is compiled, it is compiled as a loop; the first step
    is taken before it, as it tells the dims of all states.

    Args:
        step: Maps a state and an input to the next state and what is kept of the step, a state or an empty tuple.
        state: u_0.
        inputs: State whose leaves have the dim `time` of size n; a_t is its slice t.
        count: n ≥ 1.

    Returns:
        u_n, and what was kept, with the dim `time`.
    """
    given = at_time(inputs, 0)
    state, kept = step(state, given)
    rows = [_with_time_first(leaf, like) for leaf, like in zip(trees.leaves(inputs), trees.leaves(given), strict=True)]
    backend = choose_backend(*trees.natives(state), *trees.natives(kept), *rows)

    def natives(tree: Any, like: Any) -> list[Any]:
        return [backend.as_tensor(native) for native in trees.natives(tree, like)]

    def native_step(values: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        following, output = step(trees.with_natives(state, values), trees.with_natives(given, row))
        return natives(following, state), natives(output, kept)

    remaining = [row[1:] for row in rows]
    end, outputs = operations_of(backend).scan(
        native_step, natives(state, state), natives(kept, kept), remaining, count - 1
    )
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
