"""A compiled update as a function of native tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from phiml import math

from ..compilation.host_random import without_random_numbers
from ..compilation.inputs import that_remembers_nothing, without_values
from ..contract.trainable import CompilingTrainable, Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..states import trees
from .eager import sip_update, step_by_step
from .tensors import PARAMETERS, native_tensors, replace_tensors, with_natives


class CompiledUpdate:
    """
    All updates of one kind, compiled when the first one is made.

    Args:
        trainable: Network and optimizer.
        request: One of the updates.
    """

    def __init__(self, trainable: CompilingTrainable, request: UpdateRequest) -> None:
        template = replace_tensors(without_values, request)
        results = self._results = _Results()  # the function holds no reference to this object, with which it goes

        def step(trainable: Trainable, natives: list[Any]) -> tuple[Any, list[Any]]:
            traced = with_natives(template, natives)
            changes = {name: that_remembers_nothing(getattr(traced, name)) for name in PARAMETERS}
            with without_random_numbers():
                update = sip_update(trainable, dataclasses.replace(traced, **changes))
            return update.applied.native(), results.take_apart(update)

        self._compiled = trainable.compile(step)

    def __call__(self, trainable: CompilingTrainable, request: UpdateRequest) -> SipUpdate:
        """Makes the update; where something is not finite, step by step, which says what it is."""
        update = self.attempt(trainable, request)
        return step_by_step(trainable, request) if update is None else update

    def attempt(self, trainable: CompilingTrainable, request: UpdateRequest) -> SipUpdate | None:
        """Makes the update. Returns `None`, and has changed nothing, where something is not finite."""
        with math.precision(trees.precision_of(request.y_target)):
            natives = native_tensors(request, trainable.backend)
        applied, results = self._compiled(natives)
        if not bool(applied):
            return None
        return dataclasses.replace(self._results.put_together(results), applied=math.wrap(True))


class _Results:
    """What the updates of one kind return: known once one has been made."""

    template: SipUpdate

    def take_apart(self, result: SipUpdate) -> list[Any]:
        """Returns the values of all tensors of `result`."""
        states = list(self._states(result))
        empty = {name: trees.tree_map(without_values, tree) for name, tree in states}
        self.template = dataclasses.replace(result, **empty)
        return [native for _, tree in states for native in trees.natives(tree)]

    def put_together(self, natives: Sequence[Any]) -> SipUpdate:
        """Returns the result with these values."""
        remaining = iter(natives)
        states = {
            name: trees.with_natives(tree, [next(remaining) for _ in trees.leaves(tree)])
            for name, tree in self._states(self.template)
        }
        return dataclasses.replace(self.template, **states)

    @staticmethod
    def _states(result: SipUpdate) -> Iterator[tuple[str, Any]]:
        for field in dataclasses.fields(result):
            value = getattr(result, field.name)
            if value is not None:
                yield field.name, value
