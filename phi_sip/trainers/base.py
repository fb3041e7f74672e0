"""What a training step needs to know about a framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from phiml.backend import Backend

Recompute = Callable[[], Any]


class Trainer(ABC):
    """
    One network and its optimizer in one framework, for one update.

    `record` runs the network, `gradients` pulls a gradient in x back to the weights, `apply` changes the weights.
    `save` and `restore` bracket all three, so that an update that fails leaves nothing behind.
    """

    backend: Backend

    @abstractmethod
    def call(self, native: Any) -> Any:
        """Evaluates the network on one native tensor in the layout of the framework."""

    @abstractmethod
    def save(self) -> None:
        """Keeps copies of all weights, batch statistics and optimizer state."""

    @abstractmethod
    def restore(self) -> None:
        """Puts back what `save` kept, bit for bit."""

    @abstractmethod
    def record(self, predict: Recompute) -> Any:
        """Evaluates `predict()` and keeps what `gradients` needs. Returns x without derivative information."""

    @abstractmethod
    def gradients(self, cotangent: Any) -> list[Any]:
        """
        Pulls ∂L/∂x back through the recorded prediction.

        Args:
            cotangent: ∂L/∂x, a state like the recorded x.

        Returns:
            ∂L/∂θ per weight; `None` for weights on which x does not depend.
        """

    @abstractmethod
    def apply(self, gradients: list[Any], loss: Callable[[Any], tuple[Any, Any]], predict: Recompute) -> None:
        """
        Lets the optimizer change the weights.

        Args:
            gradients: As returned by `gradients`.
            loss: Maps x to the proxy loss, summed over the batch, and its cotangent, for optimizers that evaluate
                the loss several times.
            predict: Evaluates the network on the data of this update.
        """

    @abstractmethod
    def is_finite(self, values: list[Any]) -> bool:
        """Whether all native tensors are finite; `None` counts as finite."""

    @abstractmethod
    def state(self) -> list[Any]:
        """The floating point tensors that an update changes: weights and optimizer state."""


def defined_in(thing: Any, *packages: str) -> bool:
    """Whether the class of `thing`, or a base of it, comes from one of `packages`. Imports nothing."""
    modules = [f"{cls.__module__}." for cls in type(thing).__mro__]
    return any(module.startswith(f"{package}.") for module in modules for package in packages)
