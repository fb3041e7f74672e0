"""A computation as a compiled function of native tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from phiml import math

from ..compilation.host_random import without_random_numbers
from ..compilation.inputs import that_remembers_nothing, without_values
from ..contract.trainable import CompilingTrainable, Trainable
from ..contract.update import UpdateRequest
from ..states import trees
from .computation import Computation, Result
from .eager import step_by_step
from .tensors import PARAMETERS, native_tensors, replace_tensors, with_natives

R = TypeVar("R", bound=Result)


class CompiledComputation(Generic[R]):
    """
    What is computed for all requests of one kind, compiled when the first one is made.

    Args:
        computation: What is computed.
        trainable: Network and optimizer.
        request: One of the requests.
    """

    def __init__(self, computation: Computation[R], trainable: CompilingTrainable, request: UpdateRequest) -> None:
        template = replace_tensors(without_values, request)
        self._computation = computation
        results: _Results[R] = _Results()  # the function holds no reference to this object, with which it goes

        def step(trainable: Trainable, natives: list[Any]) -> tuple[Any, list[Any]]:
            traced = with_natives(template, natives)
            changes = {name: that_remembers_nothing(getattr(traced, name)) for name in PARAMETERS}
            with without_random_numbers():
                result = computation(trainable, dataclasses.replace(traced, **changes))
            return result.applied.native(), results.take_apart(result)

        self._results, self._compiled = results, trainable.compile(step)

    def __call__(self, trainable: CompilingTrainable, request: UpdateRequest) -> R:
        """Computes it; where something is not finite, step by step, which says what it is."""
        result = self.attempt(trainable, request)
        return step_by_step(self._computation, trainable, request) if result is None else result

    def attempt(self, trainable: CompilingTrainable, request: UpdateRequest) -> R | None:
        """Computes it. Returns `None`, and has changed nothing, where something is not finite."""
        with math.precision(trees.precision_of(request.y_target)):
            natives = native_tensors(request, trainable.backend)
        applied, results = self._compiled(natives)
        if not bool(applied):
            return None
        return dataclasses.replace(self._results.put_together(results), applied=math.wrap(True))


class _Results(Generic[R]):
    """What a computation returns for the requests of one kind: known once one has been made."""

    template: R

    def take_apart(self, result: R) -> list[Any]:
        """Returns the values of all tensors of `result`."""
        states = list(self._states(result))
        empty = {name: trees.tree_map(without_values, tree) for name, tree in states}
        self.template = dataclasses.replace(result, **empty)
        return [native for _, tree in states for native in trees.natives(tree)]

    def put_together(self, natives: Sequence[Any]) -> R:
        """Returns the result with these values."""
        remaining = iter(natives)
        states = {
            name: trees.with_natives(tree, [next(remaining) for _ in trees.leaves(tree)])
            for name, tree in self._states(self.template)
        }
        return dataclasses.replace(self.template, **states)

    @staticmethod
    def _states(result: Result) -> Iterator[tuple[str, Any]]:
        for field in dataclasses.fields(result):
            value = getattr(result, field.name)
            if value is not None:
                yield field.name, value
