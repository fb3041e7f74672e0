"""Time steps, as a loop where they are compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phiml.backend import choose_backend

from ..compilation import keys
from ..compilation.objects import NoKeyError
from ..frameworks import operations_of
from ..states import trees

WORTH_A_LOOP = 3  # fewer steps are compiled one by one


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


class _ChangedError(Exception):
    """A step returns a state of another kind than it was given."""
