"""Iterations on native tensors: loops with a named state, and algorithms that are compiled once for each kind."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar, cast

from phiml.backend import Backend

from . import keys
from .cache import CompiledFunctions
from .host_random import without_random_numbers
from .inputs import tensors_of, that_remembers_nothing, with_tensors, without_tensors
from .objects import NoKeyError

KEPT = 32  # compiled algorithms of each method
Algorithm = Callable[..., tuple[Any, ...]]  # of native tensors
Compile = Callable[[Algorithm], Algorithm]
State = TypeVar("State", bound=NamedTuple)


def repeat(backend: Backend, step: Callable[[State], State], state: State, most: int) -> State:
    """
    Repeats a step of an iteration while any row goes on.

    Args:
        backend: Framework of the native tensors.
        step: Maps a state to the next one, of the same shapes and types.
        state: A named tuple of native tensors, or of tuples of them. The first says which rows go on.
        most: The step is taken at most this many times. A framework may take it so often in any case.

    Returns:
        The last state, without derivative information.
    """

    def positional(*values: Any) -> tuple[Any, ...]:
        return _flat(step(_like(state, values)))

    return _like(state, backend.while_loop(positional, _flat(state), most))


class CompiledIterations(CompiledFunctions):
    """
    The algorithms of one method that were used last, compiled where the framework compiles.

    Args:
        kept: How many are kept.
    """

    def __init__(self, kept: int = KEPT) -> None:
        super().__init__(kept)

    def run(
        self,
        backend: Backend,
        compile: Compile | None,
        make: Callable[[Any], Algorithm],
        settings: Callable[[], Hashable],
        *natives: Any,
        physics: Any = None,
    ) -> tuple[Any, ...]:
        """
        Computes `make(physics)(*natives)`. What is compiled serves all problems that differ in the values of `natives`
        and of the tensors in `physics` only. Inside of a larger computation that is being compiled, nothing is compiled
        by itself.

        Args:
            backend: Framework of the native tensors.
            compile: Compiles an algorithm; `None` where the framework does not compile.
            make: Builds the algorithm, a function of `natives`. It is kept, and must hold no states.
            settings: Computes the key of all else that the result depends on, see `keys.of_value`.
            *natives: Native tensors.
            physics: Physics that the algorithm simulates, if any.

        Raises:
            RandomNumbersError: if the algorithm draws random numbers in Python while it is compiled.
        """
        if compile is None:
            return make(physics)(*natives)
        if not all(backend.is_available(native) for native in natives):
            with without_random_numbers():
                return make(that_remembers_nothing(physics))(*natives)
        kinds = tuple((tuple(native.shape), str(native.dtype)) for native in natives)

        def key(logs: Container[int]) -> Hashable:
            return settings(), keys.of_parameters(physics, logs=logs), backend.name, kinds

        try:
            known = key(self.logs)
            lists = [] if known in self else keys.lists_in(physics)
        except NoKeyError:
            return make(physics)(*natives)
        algorithm = self.find(known) or compile(_of_tensors(make, without_tensors(physics)))
        result = algorithm(tensors_of(physics, backend), *natives)
        if known not in self:
            logs = keys.grown(lists)
            with suppress(NoKeyError):  # what was run while it was compiled may have changed what it depends on
                known = key({*self.logs, *map(id, logs)})
            self.keep(known, algorithm, logs)
        return cast("tuple[Any, ...]", result)


def _of_tensors(make: Callable[[Any], Algorithm], physics: Any) -> Algorithm:
    """Returns the algorithm as a function of the tensors in the physics, too."""

    def algorithm(tensors: list[Any], *natives: Any) -> tuple[Any, ...]:
        traced = that_remembers_nothing(with_tensors(physics, tensors))
        with without_random_numbers():
            return make(traced)(*natives)

    return algorithm


def _flat(state: NamedTuple) -> tuple[Any, ...]:
    """Returns the native tensors of a state, one after the other."""
    return tuple(part for field in state for part in (field if isinstance(field, tuple) else (field,)))


def _like(template: State, values: Any) -> State:
    """Returns the state of the same form with these native tensors."""
    remaining = iter(values)
    fields = (tuple(next(remaining) for _ in f) if isinstance(f, tuple) else next(remaining) for f in template)
    return type(template)._make(fields)
