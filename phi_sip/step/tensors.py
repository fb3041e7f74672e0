"""Updates as lists of native tensors: what goes in, and what comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..compilation.inputs import map_inputs, natives_of, on_host, without_values
from ..states import trees
from ..states.parameters import as_tensor
from .update import SipUpdate, UpdateRequest

STATES = ("y_target", "x_true")
PARAMETERS = ("physics", "solver")


def replace_tensors(function: Callable[[Tensor], Tensor], request: UpdateRequest) -> UpdateRequest:
    """The request with all tensors replaced in which updates of one kind may differ; the others go to the host."""
    changes = {name: map_inputs(function, getattr(request, name), constant=on_host) for name in PARAMETERS}
    for name in STATES:
        tree = getattr(request, name)
        changes[name] = None if tree is None else trees.tree_map(function, tree)
    return dataclasses.replace(request, step_size=function(as_tensor(request.step_size)), **changes)


def native_tensors(request: UpdateRequest, backend: Backend) -> list[Any]:
    """The values of these tensors."""
    return natives_of(lambda keep: replace_tensors(keep, request), backend)


def with_natives(request: UpdateRequest, natives: Sequence[Any]) -> UpdateRequest:
    """The request with other values, in the order of `native_tensors`."""
    remaining = iter(natives)

    def fill(tensor: Tensor) -> Tensor:
        return math.reshaped_tensor(next(remaining), [*tensor.shape], convert=False)

    return replace_tensors(fill, request)


class Results:
    """What the updates of one kind return: known once one has been made."""

    template: SipUpdate

    def take_apart(self, result: SipUpdate) -> list[Any]:
        """The values of all tensors of `result`."""
        states = list(self._states(result))
        empty = {name: trees.tree_map(without_values, tree) for name, tree in states}
        self.template = dataclasses.replace(result, **empty)
        return [native for _, tree in states for native in trees.natives(tree)]

    def put_together(self, natives: Sequence[Any]) -> SipUpdate:
        """The result with these values."""
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
