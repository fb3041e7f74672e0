"""Updates of PyTorch modules with PyTorch optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from phiml import math

from ...contract.hookspecs import hookimpl
from ...contract.trainable import Objective, Predict, Trainer, defined_in
from ...errors import ParameterError, SipError, UnsupportedError
from ...states import trees
from ...states.checks import check_finite
from ...step.update import BAD_SAMPLES, SipUpdate, UpdateRequest, prediction, update
from ...text.printable import sentence

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
        return call_module(self.net, native)

    def prepare(self, request: UpdateRequest) -> None:
        """Lazy modules make their weights in a prediction in inference mode."""
        if self.is_lazy():
            y_target = trees.to_backend(request.y_target, self.backend)
            check_finite("y_target", y_target, BAD_SAMPLES)
            with self.evaluating(), self.backend:
                prediction(self, request.physics, y_target, request.predict)()
        known = [t for module in self.modules for t in (*module.parameters(), *module.buffers())]
        if any(tensor.is_meta or tensor.is_inference() for tensor in (*known, *self.parameters)):
            raise UnsupportedError(
                "The network has parameters on the device 'meta', or made in torch.inference_mode, which cannot be "
                "trained. Make it on a real device and outside of torch.inference_mode()."
            )

    def is_lazy(self) -> bool:
        """Whether weights are still to be made."""
        lazy = self.torch.nn.parameter.is_lazy
        return any(lazy(t) for module in self.modules for t in (*module.parameters(), *module.buffers()))

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Without gradients, and with all modules in inference mode; those that train do so again afterwards."""
        modes = [(part, part.training) for module in self.modules for part in module.modules()]
        try:
            for module in self.modules:
                module.eval()
            with self.torch.no_grad():
                yield
        finally:
            for part, mode in modes:
                part.training = mode

    def save(self) -> None:
        from .snapshots import Snapshot

        self.saved = Snapshot(self.modules, self.optimizer)

    def restore(self) -> None:
        self.saved.restore()

    def record(self, predict: Predict) -> Any:
        self.x = predict()
        return self._detached(self.x)

    def accumulate(self, cotangent: Any, share: float) -> None:
        self._pull_back(self.x, cotangent)
        self.x = None
        self.gradients = [parameter.grad for parameter in self.parameters]

    def apply(self, objectives: Sequence[Objective]) -> None:
        """
        Optimizers that ask for the loss get it. What is known already is not computed again, unless the optimizer has
        changed the weights or removed the gradients before.
        """
        known = self._over_workers(sum(objective.value.native() for objective in objectives))
        start = {id(tensor): value for tensor, value in self.saved.tensors}
        versions = [None if gradient is None else gradient._version for gradient in self.gradients]

        def is_known() -> bool:
            same = (a is b.grad for a, b in zip(self.gradients, self.parameters, strict=True))
            untouched = (g is None or g._version == v for g, v in zip(self.gradients, versions, strict=True))
            return all(same) and all(untouched) and all(self.torch.equal(p, start[id(p)]) for p in self.parameters)

        def closure() -> Any:
            if is_known():
                return known
            with self.torch.enable_grad():
                self.optimizer.zero_grad()
                return self._over_workers(sum(self._evaluate(objective) for objective in objectives))

        self._step(closure)
        self.saved.restore_gradients(without=self.parameters)

    def _step(self, closure: Callable[[], Any]) -> None:
        try:
            if inspect.signature(self.optimizer.step).parameters:
                self.optimizer.step(closure)
            else:
                self.optimizer.step()
        except SipError:
            raise
        except Exception as error:
            raise UnsupportedError(
                f"The optimizer {type(self.optimizer).__name__} could not make its step and was undone: "
                f"{type(error).__name__}: {sentence(error)} It is given the gradients of its parameters, and a closure "
                f"that evaluates the loss again. Take one that needs no more, such as torch.optim.Adam."
            ) from error

    def is_finite(self, values: Sequence[Any]) -> Any:
        from .snapshots import finite

        return all(bool(finite(value).all()) for value in values if value is not None)

    def is_state_finite(self) -> Any:
        return not self.saved.made_non_finite()

    def _over_workers(self, loss: Any) -> Any:
        """The loss of the whole batch: optimizers that look at it must decide alike everywhere."""
        return loss if self.workers is None else self.workers.sum(loss)

    def _evaluate(self, objective: Objective) -> Any:
        """The loss now; adds its gradient to those of the weights."""
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


def call_module(net: Any, native: Any) -> Any:
    """The network on a tensor, in the floating point type and on the device of its weights."""
    import torch

    weights = (p for p in net.parameters() if p.is_floating_point() or p.is_complex())
    first = next(weights, None)
    dtype = torch.float32 if first is None else first.dtype.to_real()
    given = native.to(device=native.device if first is None else first.device, dtype=dtype)
    with math.precision(64 if dtype == torch.float64 else 32):  # networks of PhiML convert to it
        output = net(given.clone() if given.is_inference() else given)
    return output.to(native) if torch.is_tensor(output) and output.is_floating_point() else output


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
    import torch

    request = UpdateRequest(physics, y_target, predict, step_size, solver, x_true, micro_batches)
    with torch.inference_mode(False), torch.enable_grad():
        return update(TorchTrainer(net, optimizer), request)
