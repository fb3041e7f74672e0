"""A network and its optimizer, as a weight update needs them: the same for all frameworks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from phiml.backend import Backend

from ..errors import UnsupportedError
from ..states.workers import Workers
from .update import UpdateRequest

Predict = Callable[[], Any]
PullBack = Callable[[Any, float], None]
PullBackRows = Callable[[Any], list[Any]]
CACHE = "_phi_sip_compiled"  # attribute of an optimizer: its compiled updates
CompiledStep = Callable[[list[Any]], tuple[Any, list[Any]]]


@dataclass(frozen=True, eq=False)
class Objective:
    """
    The loss of one micro-batch as a function of the weights, for optimizers that evaluate it again.

    Attributes:
        predict: Evaluates the network on the data of the update.
        loss: Maps x to the proxy loss, summed over the batch, and its gradient in x.
        value: The loss before the update.
    """

    predict: Predict
    loss: Callable[[Any], tuple[Any, Any]]
    value: Any


class Trainable(ABC):
    """
    One network and its optimizer in one framework, for one update:

        x, pull_back = record(predict)
        pull_back(∂L/∂x, share)         adds ∂L/∂θ to `gradients`
        clip_gradients(c)               g ← g · min(1, c / ‖g‖), if that is asked for
        apply(objectives)               θ ← optimizer(gradients)

    `save` and `restore` bracket these, so that an update that fails leaves nothing behind.

    Args:
        backend: PhiML's backend of the framework.
        net, optimizer: As the user has given them.
        workers: The workers that train the network together with this one; `None` if there are none.

    Attributes:
        gradients: ∂L/∂θ per weight, summed over all micro-batches, times the factor by which the optimizer scales the
            loss, if it does; `None` for weights on which the loss does not depend.
    """

    def __init__(self, backend: Backend, net: Any, optimizer: Any, workers: Workers | None = None) -> None:
        self.backend, self.net, self.optimizer, self.workers = backend, net, optimizer, workers
        self.gradients: list[Any] = []

    def check(self, request: UpdateRequest) -> None:  # noqa: B027
        """
        Refuses what this framework cannot do.

        Raises:
            ParameterError, UnsupportedError: if an argument of the request has no effect or no meaning here.
        """

    def context(self) -> AbstractContextManager[Any]:
        """Returns the context in which updates are made, e.g. one that turns automatic differentiation on."""
        return nullcontext()

    def evaluating(self) -> AbstractContextManager[Any]:
        """Returns the context in which the network is evaluated as it is used for inference, without gradients."""
        return nullcontext()

    @abstractmethod
    def call(self, native: Any) -> Any:
        """
        Evaluates the network on one native tensor in the layout of the framework. The network is given numbers of the
        type that its weights have, and what it returns is converted back.
        """

    @abstractmethod
    def prepare(self, predict: Predict) -> None:
        """
        Makes all variables of network and optimizer that are made late, with their initial values.

        Args:
            predict: Makes a prediction. It is called once if the network makes variables when it is called.

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
    def record(self, predict: Predict) -> tuple[Any, PullBack]:
        """
        Evaluates the network and records how x depends on the weights.

        Returns:
            x, without derivative information, and a function that is called once: it pulls ∂L/∂x, a state like x, back
            to the weights and adds it to `gradients`. Its second argument is the part of the batch that was recorded:
            losses that the network adds by itself count by it.
        """

    def record_rows(self, compute: Callable[[], Any]) -> tuple[Any, PullBackRows]:
        """
        Evaluates the network and records how its answer depends on the weights, for rules that need rows of the
        Jacobian ∂x/∂θ rather than one gradient.

        Args:
            compute: Evaluates the network, and returns its answer x as one native tensor.

        Returns:
            x, without derivative information, and a function that is called once. It takes cotangents v₁, v₂, …, a
            native tensor (rows, *shape of x), and returns vᵢᵀ ∂x/∂θ for each weight: a native tensor (rows, *shape of
            the weight), or `None` if x does not depend on it. It adds nothing to `gradients`.

        Raises:
            UnsupportedError: if the framework does not give rows (default), weights are complex, or layers add losses.
        """
        raise UnsupportedError(
            f"{type(self).__name__} gives gradients only, but this update needs the derivatives of each value by all "
            f"weights. Train on TensorFlow, PyTorch or JAX, or by another rule."
        )

    @property
    @abstractmethod
    def weights(self) -> list[Any]:
        """The native tensors or variables that are trained, in the order of `gradients`."""

    @abstractmethod
    def add_gradients(self, gradients: Sequence[Any]) -> None:
        """Adds native tensors, one per weight, `None` for zero, to `gradients`."""

    def clip_gradients(self, norm: float) -> None:
        """
        Shortens the gradient that is longer than c, the norm being that of all weights together:

            g ← g · min(1, c / ‖g‖),   ‖g‖² = Σ over all weights of |∂L/∂θ|²

        A gradient that is not finite stays as it is. Where workers train together, it is their sum that is meant; where
        the optimizer scales the loss, ∂L/∂θ without its scale.

        Args:
            norm: c > 0.

        Raises:
            UnsupportedError: if the framework cannot.
        """
        raise UnsupportedError(
            f"clip_norm: {type(self).__name__} does not clip gradients. Leave it out, or give an optimizer that does."
        )

    @abstractmethod
    def apply(self, objectives: Sequence[Objective]) -> None:
        """Lets the optimizer change the weights by `gradients`. Some optimizers evaluate the objectives again."""

    def skip(self) -> bool:
        """
        Undoes an update whose gradient is not finite, if the optimizer expects that now and then, and lets it react:
        one that scales the loss lowers the scale.

        Returns:
            Whether the optimizer expects it.
        """
        return False

    @abstractmethod
    def is_finite(self, values: Sequence[Any]) -> Any:
        """Tells whether all native tensors are finite, as a native truth value; `None` counts as finite."""

    @abstractmethod
    def is_state_finite(self) -> Any:
        """
        Tells whether the update made nothing infinite or NaN among weights, batch statistics and optimizer state, as a
        native truth value. What was so before, as the mask of an attention layer, may remain so.
        """

    @property
    def is_traced(self) -> bool:
        """Whether a graph is being made, in which values are not known."""
        return False

    def after(self, values: list[Any], done: list[Any]) -> list[Any]:
        """Returns the same native tensors; in a graph they are computed only after others, to save memory."""
        return values

    def after_gradients(self, values: list[Any]) -> list[Any]:
        """Returns the same native tensors; in a graph they are computed only after `gradients`."""
        return self.after(values, [gradient for gradient in self.gradients if gradient is not None])

    def restore_unless(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any:
        """
        Undoes the update in a graph, as `restore` does, unless all truth values hold on all workers. Where only the
        gradient is not finite, the optimizer reacts as in `skip`.

        Returns:
            Whether all truth values hold.
        """
        raise NotImplementedError(f"{type(self).__name__} makes no graphs")


Step = Callable[[Trainable, list[Any]], tuple[Any, list[Any]]]


class CompilingTrainable(Trainable):
    """A network and its optimizer in a framework that can compile a whole update."""

    @abstractmethod
    def signature(self) -> Hashable:
        """Returns what a compiled update depends on apart from the request and the values of variables."""

    @abstractmethod
    def compile(self, step: Step) -> CompiledStep:
        """
        Compiles an update.

        Args:
            step: Makes an update with the trainable and the native tensors that it is given, and returns whether it was
                made, and native tensors.

        Returns:
            The same as a function of the native tensors alone.
        """

    @abstractmethod
    def restore_unless(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any: ...
