"""PyTorch tensors, and the containers that hold them, as they were."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch

from .at_once import all_finite, finite


class Snapshot:
    """
    Keeps the values of all tensors that are found in modules and optimizers, and what their containers hold. Tensors
    and containers stay the same objects, so that whoever refers to them, such as schedules, finds the old values again.
    Gradients are set aside: those that a user has accumulated are neither used nor changed.

    Args:
        modules: Networks: parameters and buffers of any type.
        optimizer: All that it has: state of any structure, groups, wrapped optimizers, and the weights that it knows,
            of other networks too.
    """

    def __init__(self, modules: Iterable[torch.nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self.tensors: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.gradients: list[tuple[torch.Tensor, torch.Tensor | None]] = []
        self._undo: list[Callable[[], None]] = []
        self._seen: dict[int, Any] = {}
        for module in (part for net in modules for part in net.modules()):
            self._keep(module._parameters)
            self._keep(module._buffers)
        self._optimizer = optimizer
        self._keep(vars(optimizer))

    def restore(self) -> None:
        """Puts everything back, and the gradients that were set aside."""
        for undo in self._undo:
            undo()
        with torch.no_grad():
            for tensor, value in self.tensors:
                tensor.copy_(value)
        self.restore_gradients()

    def restore_gradients(self, without: Iterable[torch.Tensor] = ()) -> None:
        """Gives weights the gradients back that they had, apart from the weights `without`."""
        others = {id(parameter) for parameter in without}
        for parameter, gradient in self.gradients:
            if id(parameter) not in others:
                parameter.grad = gradient

    def made_non_finite(self) -> bool:
        """Tells whether a number that was finite is not any more, or one in a new tensor of the optimizer is not."""
        known = {id(tensor) for tensor, _ in self.tensors}
        new = [tensor for tensor in tensors_in(vars(self._optimizer), {}) if id(tensor) not in known]
        if all_finite([*(tensor for tensor, _ in self.tensors), *new]):
            return False
        changed = (
            not bool(finite(tensor).all()) and bool((finite(before) & ~finite(tensor)).any())
            for tensor, before in self.tensors
        )
        return any(changed) or not all_finite(new)

    def _keep(self, item: Any) -> None:
        if id(item) in self._seen:
            return
        self._seen[id(item)] = item
        if isinstance(item, torch.Tensor):
            self._keep_tensor(item)
        elif isinstance(item, dict):
            self._undo.append(partial(_refill, item, item.update, dict(item)))
        elif isinstance(item, (list, deque)):
            self._undo.append(partial(_refill, item, item.extend, list(item)))
        elif isinstance(item, set):
            self._undo.append(partial(_refill, item, item.update, set(item)))
        for part in _parts(item):
            self._keep(part)

    def _keep_tensor(self, tensor: torch.Tensor) -> None:
        self.tensors.append((tensor, tensor.detach().clone()))
        if tensor.is_leaf and tensor.requires_grad:
            self.gradients.append((tensor, tensor.grad))
            tensor.grad = None


def tensors_in(item: Any, seen: dict[int, Any]) -> Iterator[torch.Tensor]:
    """Returns all tensors of containers and optimizers, each once."""
    if id(item) in seen:
        return
    seen[id(item)] = item
    if isinstance(item, torch.Tensor):
        yield item
    for part in _parts(item):
        yield from tensors_in(part, seen)


def _parts(item: Any) -> Iterable[Any]:
    """Yields what a container or an optimizer holds."""
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, (list, tuple, set, deque)):
        return list(item)
    return [vars(item)] if isinstance(item, torch.optim.Optimizer) else []


def _refill(container: Any, fill: Callable[[Any], None], content: Any) -> None:
    container.clear()
    fill(content)
