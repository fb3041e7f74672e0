"""What a training loop needs to know about a framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, ClassVar

from .physics import InvertiblePhysics

Layout = list[list[Any]]


class TrainingState(ABC):
    """
    A network and its optimizer between the steps of a run.

    Attributes:
        framework: Name of the framework, as in `experiment.toml`.
        net, optimizer: As given.
    """

    framework: ClassVar[str]
    net: Any
    optimizer: Any

    @property
    @abstractmethod
    def learning_rate(self) -> float | None:
        """That of the next step, if the optimizer tells."""

    @abstractmethod
    def predict(self, physics: InvertiblePhysics, y_target: Any, predict: Callable[[Any], Any] | None) -> Any:
        """x for observations, as the network is used for inference: no gradient, batch statistics as learned."""

    @abstractmethod
    def prepare(self, physics: InvertiblePhysics, y_target: Any, predict: Callable[[Any], Any] | None) -> None:
        """Makes all variables that are made late, so that they can be restored."""

    @abstractmethod
    def layout(self) -> Layout:
        """Shape and type of each weight and batch statistic, to tell whether a checkpoint is that of this network."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes weights, batch statistics, optimizer and random state into an empty folder."""

    @abstractmethod
    def restore(self, folder: Path) -> None:
        """Reads what `save` wrote for a network of the same layout."""

    def description(self) -> dict[str, Any]:
        """
        What network and optimizer are, as plain data, before anything is restored.

        Returns:
            `optimizer` and `schedule`: their kinds. `settings`: their numbers by name, those that `restore` overwrites
            and `take_over` can put back, or that act as they are. `layers`: of the network, in words.
        """
        return {}

    def take_over(self, settings: Collection[str]) -> None:  # noqa: B027
        """After `restore`: sets these settings to what they were when this object was made."""

    def advance(self) -> None:  # noqa: B027
        """After each step: moves on what counts steps by itself, such as a learning-rate schedule."""
