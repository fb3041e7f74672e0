"""Updates of PyTorch modules with PyTorch optimizers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import trees
from ..errors import ParameterError, UnsupportedError
from ..hookspecs import hookimpl
from ..update import SipUpdate, update
from .base import Recompute, Trainer, defined_in

if TYPE_CHECKING:
    from phiml.backend import Backend


class TorchTrainer(Trainer):
    """One or several `torch.nn.Module`s, and a `torch.optim.Optimizer`."""

    def __init__(self, net: Any, optimizer: Any) -> None:
        import torch
        from phi.torch import TORCH

        if not isinstance(optimizer, torch.optim.Optimizer):
            raise UnsupportedError(
                f"The optimizer of a PyTorch network must be a torch.optim.Optimizer, not {type(optimizer).__name__}. "
                f"Create it with phi.torch.flow.adam(net) or torch.optim."
            )
        self.torch = torch
        self.backend: Backend = TORCH
        self.net = net
        self.modules = list(net) if isinstance(net, (list, tuple)) else [net]
        self.optimizer = optimizer
        self.parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]

    def call(self, native: Any) -> Any:
        if self.net is not self.modules[0]:
            raise ParameterError("With several networks it is not known how they are called: pass predict=...")
        return self.net(native)

    def save(self) -> None:
        tensors = [t for m in self.modules for t in (*m.parameters(), *m.buffers())] + self.parameters
        self.saved = [(tensor, tensor.detach().clone()) for tensor in tensors]
        self.saved_optimizer = copy.deepcopy(self.optimizer.state_dict())

    def restore(self) -> None:
        with self.torch.no_grad():
            for tensor, value in self.saved:
                tensor.copy_(value)
        self.optimizer.load_state_dict(self.saved_optimizer)
        self.optimizer.zero_grad()

    def record(self, predict: Recompute) -> Any:
        with self.torch.enable_grad():
            self.x = predict()
        self.outputs = trees.natives(self.x)
        return trees.with_natives(self.x, [value.detach() for value in self.outputs])

    def gradients(self, cotangent: Any) -> list[Any]:
        return self._pull_back(self.x, cotangent)

    def apply(self, gradients: list[Any], loss: Callable[[Any], tuple[Any, Any]], predict: Recompute) -> None:
        evaluated = False

        def closure() -> Any:
            nonlocal evaluated
            with self.torch.enable_grad():
                x = predict() if evaluated else self.x
            value, cotangent = loss(trees.with_natives(x, [v.detach() for v in trees.natives(x)]))
            if evaluated:
                self._pull_back(x, cotangent)
            evaluated = True
            return value.native()

        self.optimizer.step(closure)

    def is_finite(self, values: list[Any]) -> bool:
        return all(bool(self.torch.isfinite(value).all()) for value in values if value is not None)

    def state(self) -> list[Any]:
        slots = [v for slot in self.optimizer.state.values() for v in slot.values() if self.torch.is_tensor(v)]
        return [value for value in (*self.parameters, *slots) if value.is_floating_point()]

    def _pull_back(self, x: Any, cotangent: Any) -> list[Any]:
        """Accumulates in `grad`, on which DistributedDataParallel hooks its reduction over processes."""
        self.optimizer.zero_grad()
        connected = [
            (out, cot)
            for out, cot in zip(trees.natives(x), trees.natives(cotangent, like=x), strict=True)
            if out.requires_grad
        ]
        if connected:
            outputs, cotangents = zip(*connected, strict=True)
            self.torch.autograd.backward(outputs, cotangents)
        return [parameter.grad for parameter in self.parameters]


@hookimpl
def sip_update_weights(
    net: Any,
    optimizer: Any,
    physics: Any,
    y_target: Any,
    predict: Any,
    step_size: Any,
    solver: Any,
    x_true: Any,
    training: bool | None,
) -> SipUpdate | None:
    nets = net if isinstance(net, (list, tuple)) else [net]
    if not nets or not all(defined_in(n, "torch") and hasattr(n, "parameters") for n in nets):
        return None
    if training is not None:
        raise ParameterError(
            "training=... is for Keras networks. PyTorch modules carry it: call net.train() or .eval()."
        )
    return update(TorchTrainer(net, optimizer), physics, y_target, predict, step_size, solver, x_true)
