"""The tensors of a request, as native tensors that go into a compiled update."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..compilation.closures import with_inputs
from ..compilation.inputs import map_inputs, natives_of, on_host
from ..contract.update import UpdateRequest
from ..states import trees
from ..states.parameters import as_tensor

STATES = ("y_target", "x_true", "draws", "seen")
PARAMETERS = ("physics", "solver", "inputs", "targets")


def replace_tensors(function: Callable[[Tensor], Tensor], request: UpdateRequest) -> UpdateRequest:
    """Returns the request with all tensors replaced in which updates of one kind may differ; others go to the host."""
    closure = partial(with_inputs, function)
    changes = {
        name: map_inputs(function, getattr(request, name), constant=on_host, closure=closure) for name in PARAMETERS
    }
    for name in STATES:
        tree = getattr(request, name)
        changes[name] = None if tree is None else trees.tree_map(function, tree)
    return dataclasses.replace(request, step_size=function(as_tensor(request.step_size)), **changes)


def native_tensors(request: UpdateRequest, backend: Backend) -> list[Any]:
    """Returns the values of these tensors."""
    return natives_of(lambda keep: replace_tensors(keep, request), backend)


def with_natives(request: UpdateRequest, natives: Sequence[Any]) -> UpdateRequest:
    """Returns the request with other values, in the order of `native_tensors`."""
    remaining = iter(natives)

    def fill(tensor: Tensor) -> Tensor:
        return math.reshaped_tensor(next(remaining), [*tensor.shape], convert=False)

    return replace_tensors(fill, request)
