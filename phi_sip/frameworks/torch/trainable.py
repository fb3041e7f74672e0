"""Updates of PyTorch modules by PyTorch optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from phi.torch import TORCH

from ...contract.trainable import Objective, Predict, PullBack, PullBackRows, Trainable
from ...contract.update import UpdateRequest
from ...errors import ParameterError, SipError, UnsupportedError
from ...states import trees
from ...text.printable import sentence
from .at_once import all_equal, all_finite
from .call import call_module, evaluating, modules_of
from .clipping import clip
from .operations import vmap
from .ranks import Ranks
from .snapshots import Snapshot


class TorchTrainable(Trainable):
    """One or several `torch.nn.Module`s, and a `torch.optim.Optimizer`."""

    def __init__(self, net: Any, optimizer: Any, training: bool | None = None) -> None:
        if training is not None:
            raise ParameterError(
                "training=... is for Keras networks. PyTorch modules carry it: call net.train() or .eval()."
            )
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise UnsupportedError(
                f"The optimizer of a PyTorch network must be a torch.optim.Optimizer, not {type(optimizer).__name__}. "
                f"Create it with phi.torch.flow.adam(net) or torch.optim."
            )
        self.modules = modules_of(net)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        self.saved: Snapshot | None = None
        super().__init__(TORCH, net, optimizer, Ranks.of(self.modules))

    def check(self, request: UpdateRequest) -> None:
        if request.compile:
            raise ParameterError(
                "compile=True is for TensorFlow and JAX: PyTorch runs step by step, which measured best. Leave it out; "
                "the network alone can be compiled by torch.compile(net)."
            )

    @contextmanager
    def context(self) -> Iterator[None]:
        with torch.inference_mode(False), torch.enable_grad():
            yield

    def call(self, native: Any) -> Any:
        if self.net is not self.modules[0]:
            raise ParameterError("With several networks it is not known how they are called: pass predict=...")
        return call_module(self.net, native)

    def prepare(self, predict: Predict) -> None:
        """Makes one prediction in inference mode, in which lazy modules make their weights."""
        if self.is_lazy():
            with self.evaluating():
                predict()
        known = [t for module in self.modules for t in (*module.parameters(), *module.buffers())]
        if any(tensor.is_meta or tensor.is_inference() for tensor in (*known, *self.parameters)):
            raise UnsupportedError(
                "The network has parameters on the device 'meta', or made in torch.inference_mode, which cannot be "
                "trained. Make it on a real device and outside of torch.inference_mode()."
            )

    def is_lazy(self) -> bool:
        """Tells whether weights are still to be made."""
        lazy = torch.nn.parameter.is_lazy
        return any(lazy(t) for module in self.modules for t in (*module.parameters(), *module.buffers()))

    def evaluating(self) -> AbstractContextManager[None]:
        return evaluating(self.modules)

    def save(self) -> None:
        self.saved = Snapshot(self.modules, self.optimizer)
        self.gradients = []

    def restore(self) -> None:
        if self.saved is not None:
            self.saved.restore()

    def record(self, predict: Predict) -> tuple[Any, PullBack]:
        x = predict()

        def pull_back(cotangent: Any, share: float) -> None:
            self._pull_back(x, cotangent)
            self.gradients = [parameter.grad for parameter in self.parameters]

        return self._detached(x), pull_back

    def record_rows(self, compute: Callable[[], Any]) -> tuple[Any, PullBackRows]:
        if any(parameter.is_complex() for parameter in self.parameters):
            raise UnsupportedError(
                "The network has complex weights, of which no real Jacobian is known. Nothing was changed. Train by "
                "another rule, or keep real and imaginary parts as two weights."
            )
        output = compute()

        def pull_back(cotangents: Any) -> list[Any]:
            if not output.requires_grad:
                return [None for _ in self.parameters]
            found = torch.autograd.grad(output, self.parameters, cotangents[0], retain_graph=True, allow_unused=True)
            connected = [p for p, gradient in zip(self.parameters, found, strict=True) if gradient is not None]

            def row(cotangent: Any) -> list[Any]:
                return [g.to_dense() for g in torch.autograd.grad(output, connected, cotangent, retain_graph=True)]

            rows = iter(vmap(row, cotangents) if connected else [])
            return [None if gradient is None else next(rows) for gradient in found]

        return output.detach(), pull_back

    @property
    def weights(self) -> list[Any]:
        return list(self.parameters)

    def add_gradients(self, gradients: Sequence[Any]) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        self.gradients = [parameter.grad for parameter in self.parameters]

    def clip_gradients(self, norm: float) -> None:
        clip(self.parameters, norm)
        self.gradients = [parameter.grad for parameter in self.parameters]

    def apply(self, objectives: Sequence[Objective]) -> None:
        """
        Optimizers that ask for the loss get it. What is known already is not computed again, unless the optimizer has
        changed the weights or removed the gradients before.
        """
        known = self._over_workers(sum(o.value.native() for o in objectives)) if objectives else None
        saved = self._saved
        start = {id(tensor): value for tensor, value in saved.tensors}
        versions = [None if gradient is None else gradient._version for gradient in self.gradients]

        def is_known() -> bool:
            same = (a is b.grad for a, b in zip(self.gradients, self.parameters, strict=True))
            untouched = (g is None or g._version == v for g, v in zip(self.gradients, versions, strict=True))
            return all(same) and all(untouched) and all_equal([(p, start[id(p)]) for p in self.parameters])

        def closure() -> Any:
            if is_known():
                return known
            if not objectives:
                raise UnsupportedError("This update has no loss that could be evaluated again, but the optimizer asks.")
            with torch.enable_grad():
                self.optimizer.zero_grad()
                return self._over_workers(sum(self._evaluate(objective) for objective in objectives))

        self._step(closure)
        saved.restore_gradients(without=self.parameters)

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
        return all_finite(value for value in values if value is not None)

    def is_state_finite(self) -> Any:
        return not self._saved.made_non_finite()

    @property
    def _saved(self) -> Snapshot:
        assert self.saved is not None, "save() comes first"
        return self.saved

    def _over_workers(self, loss: Any) -> Any:
        """Returns the loss of the whole batch: optimizers that look at it must decide alike everywhere."""
        return loss if self.workers is None else self.workers.sum(loss)

    def _evaluate(self, objective: Objective) -> Any:
        """Evaluates the loss with the weights of now, and adds its gradient to theirs."""
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
            torch.autograd.backward(outputs, cotangents)
