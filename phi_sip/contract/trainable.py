"""What a training step needs to know about a framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phiml.backend import Backend

if TYPE_CHECKING:
    from ..states.workers import Workers
    from ..step.update import UpdateRequest

Predict = Callable[[], Any]
Step = Callable[["Trainer", list[Any]], tuple[Any, list[Any]]]


@dataclass(frozen=True, eq=False)
class Objective:
    """
    What the weights are changed for, on one micro-batch.

    Attributes:
        predict: Evaluates the network on the data of the update.
        loss: Maps x to the proxy loss, summed over the batch, and its gradient in x.
        value: The loss before the update.
    """

    predict: Predict
    loss: Callable[[Any], tuple[Any, Any]]
    value: Any


class Trainer(ABC):
    """
    One network and its optimizer in one framework, for one update.

    `prepare` makes all variables, `record` runs the network, `accumulate` pulls a gradient in x back to the weights,
    `apply` changes the weights. `save` and `restore` bracket the last three, so that an update that fails leaves
    nothing behind.

    Attributes:
        backend: Of the framework.
        net, optimizer: As given.
        gradients: ∂L/∂θ per weight, summed over what `accumulate` was given, times the factor by which the optimizer
            scales the loss, if it does; `None` for weights that do not matter.
        workers: Those that train the network together with this one; `None` if there are none.
    """

    backend: Backend
    net: Any
    optimizer: Any
    gradients: list[Any]
    workers: Workers | None = None

    @abstractmethod
    def call(self, native: Any) -> Any:
        """
        Evaluates the network on one native tensor in the layout of the framework. The network is given numbers of the
        type that its weights have, and what it returns is converted back.
        """

    @abstractmethod
    def prepare(self, request: UpdateRequest) -> None:
        """
        Makes all variables of network and optimizer that are made late, with their initial values.

        Args:
            request: An update whose prediction is made once if the network makes variables when it is called.

        Raises:
            UnsupportedError: if the optimizer cannot train this network. Nothing was changed.
            NetworkOutputError: if the network has no weights to train.
        """

    @abstractmethod
    def save(self) -> None:
        """Keeps copies of all weights, batch statistics and optimizer state, and sets the gradients to nothing."""

    @abstractmethod
    def restore(self) -> None:
        """Puts back what `save` kept, bit for bit."""

    @abstractmethod
    def record(self, predict: Predict) -> Any:
        """Evaluates `predict()` and keeps what `accumulate` needs. Returns x without derivative information."""

    @abstractmethod
    def accumulate(self, cotangent: Any, share: float) -> None:
        """
        Pulls ∂L/∂x back through the recorded prediction and adds it to `gradients`.

        Args:
            cotangent: ∂L/∂x, a state like the recorded x.
            share: Part of the batch that was recorded. Losses that the network adds by itself count by it.
        """

    @abstractmethod
    def apply(self, objectives: Sequence[Objective]) -> None:
        """Lets the optimizer change the weights by `gradients`; some optimizers evaluate the objectives again."""

    def skip(self) -> bool:
        """
        Undoes an update whose gradient is not finite, if the optimizer expects that now and then, and lets it react:
        one that scales the loss lowers the scale. Returns whether it does.
        """
        return False

    @abstractmethod
    def is_finite(self, values: Sequence[Any]) -> Any:
        """Whether all native tensors are finite, as a native truth value; `None` counts as finite."""

    @abstractmethod
    def is_state_finite(self) -> Any:
        """
        Whether the update made nothing infinite or NaN among weights, batch statistics and optimizer state, as a
        native truth value. What was so before, as the mask of an attention layer, may remain so.
        """

    @property
    def is_traced(self) -> bool:
        """Whether a graph is being made, in which values are not known."""
        return False

    def in_turn(self, values: list[Any]) -> list[Any]:
        """The same native tensors, but in a graph not before `gradients` are there."""
        return values

    def keep_if(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any:
        """
        In a graph, as `restore` unless all of the truth values hold on all workers. Where only the gradient is not
        finite, the optimizer reacts as in `skip`. Returns whether all hold.
        """
        raise NotImplementedError(f"{type(self).__name__} makes no graphs")


class CompilingTrainer(Trainer):
    """A trainer of a framework that compiles."""

    @abstractmethod
    def signature(self) -> Hashable:
        """What a compiled update depends on apart from the request and the values of variables."""

    @abstractmethod
    def compile(self, step: Step) -> Callable[[list[Any]], tuple[Any, list[Any]]]:
        """
        Compiles an update.

        Args:
            step: Makes an update with the trainer and the native tensors that it is given, and returns whether it was
                made, and native tensors.
        """

    @abstractmethod
    def keep_if(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any: ...


def defined_in(thing: Any, *packages: str) -> bool:
    """Whether the class of `thing`, or a base of it, comes from one of `packages`. Imports nothing."""
    modules = [f"{cls.__module__}." for cls in type(thing).__mro__]
    return any(module.startswith(f"{package}.") for module in modules for package in packages)
