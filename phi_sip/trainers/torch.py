"""Updates of PyTorch modules with PyTorch optimizers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import trees
from ..errors import ParameterError, UnsupportedError
from ..hookspecs import hookimpl
from ..update import SipUpdate, UpdateRequest, update
from .base import Objective, Predict, Trainer, defined_in

if TYPE_CHECKING:
    from phiml.backend import Backend


class TorchTrainer(Trainer):
    """One or several `torch.nn.Module`s, and a `torch.optim.Optimizer`."""

    def __init__(self, net: Any, optimizer: Any) -> None:
        import torch
        from phi.torch import TORCH

        from .ranks import Ranks

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
        self.workers = Ranks.of(self.modules)

    def call(self, native: Any) -> Any:
        if self.net is not self.modules[0]:
            raise ParameterError("With several networks it is not known how they are called: pass predict=...")
        return self.net(native)

    def save(self) -> None:
        tensors = [t for m in self.modules for t in (*m.parameters(), *m.buffers())] + self.parameters
        self.saved = [(tensor, tensor.detach().clone()) for tensor in tensors]
        self.saved_optimizer = copy.deepcopy(self.optimizer.state_dict())
        self.optimizer.zero_grad()

    def restore(self) -> None:
        with self.torch.no_grad():
            for tensor, value in self.saved:
                tensor.copy_(value)
        self.optimizer.load_state_dict(self.saved_optimizer)
        self.optimizer.zero_grad()

    def record(self, predict: Predict) -> Any:
        with self.torch.enable_grad():
            self.x = predict()
        return self._detached(self.x)

    def accumulate(self, cotangent: Any) -> None:
        self._pull_back(self.x, cotangent)
        self.x = None
        self.gradients = [parameter.grad for parameter in self.parameters]

    def apply(self, objectives: Sequence[Objective]) -> None:
        known = self._over_workers(sum(objective.value.native() for objective in objectives))

        def closure() -> Any:
            nonlocal known
            if known is None:
                self.optimizer.zero_grad()
                return self._over_workers(sum(self._evaluate(objective) for objective in objectives))
            value, known = known, None
            return value

        self.optimizer.step(closure)

    def is_finite(self, values: Sequence[Any]) -> Any:
        return all(bool(self.torch.isfinite(value).all()) for value in values if value is not None)

    def state(self) -> list[Any]:
        slots = [v for slot in self.optimizer.state.values() for v in slot.values() if self.torch.is_tensor(v)]
        return [value for value in (*self.parameters, *slots) if value.is_floating_point()]

    def _over_workers(self, loss: Any) -> Any:
        """The loss of the whole batch: optimizers that look at it must decide alike everywhere."""
        return loss if self.workers is None else self.workers.sum(loss)

    def _evaluate(self, objective: Objective) -> Any:
        """The loss now; adds its gradient to those of the weights."""
        with self.torch.enable_grad():
            x = objective.predict()
        value, cotangent = objective.loss(self._detached(x))
        self._pull_back(x, cotangent)
        return value.native()

    def _detached(self, x: Any) -> Any:
        return trees.with_natives(x, [value.detach() for value in trees.natives(x)])

    def _pull_back(self, x: Any, cotangent: Any) -> None:
        """Accumulates in `grad`, on which DistributedDataParallel hooks the mean over its processes."""
        summed = 1 if self.workers is None else self.workers.count
        connected = [
            (out, cot * summed)
            for out, cot in zip(trees.natives(x), trees.natives(cotangent, like=x), strict=True)
            if out.requires_grad
        ]
        if connected:
            outputs, cotangents = zip(*connected, strict=True)
            self.torch.autograd.backward(outputs, cotangents)


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
    compile: bool | None,
    micro_batches: int,
) -> SipUpdate | None:
    nets = net if isinstance(net, (list, tuple)) else [net]
    if not nets or not all(defined_in(n, "torch") and hasattr(n, "parameters") for n in nets):
        return None
    if training is not None:
        raise ParameterError(
            "training=... is for Keras networks. PyTorch modules carry it: call net.train() or .eval()."
        )
    if compile:
        raise ParameterError(
            "compile=True is for TensorFlow and JAX: PyTorch runs step by step, which measured best. Leave it out; the "
            "network alone can be compiled by torch.compile(net)."
        )
    request = UpdateRequest(physics, y_target, predict, step_size, solver, x_true, micro_batches)
    return update(TorchTrainer(net, optimizer), request)
