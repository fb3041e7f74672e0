"""A network and its optimizer, as a training run saves, restores and evaluates them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from .trainable import Trainable

Layout = list[list[Any]]


class TrainingState(ABC):
    """
    A network and its optimizer between the steps of a run.

    Args:
        trainable: The network and the optimizer.

    Attributes:
        framework: Name of the framework, as in `experiment.toml`.
    """

    framework: ClassVar[str]

    def __init__(self, trainable: Trainable) -> None:
        self.trainable = trainable
        self.net, self.optimizer = trainable.net, trainable.optimizer

    @property
    @abstractmethod
    def learning_rate(self) -> float | None:
        """That of the next step, if the optimizer tells."""

    def evaluating(self) -> AbstractContextManager[Any]:
        """
        Returns the context in which the network is evaluated as it is used for inference: without gradients, with batch
        statistics as they were learned.
        """
        return self.trainable.evaluating()

    @abstractmethod
    def layout(self) -> Layout:
        """Returns shape and type of each weight and batch statistic, which tell a checkpoint of another network."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes weights, batch statistics, optimizer and random state into an empty folder."""

    @abstractmethod
    def restore(self, folder: Path) -> None:
        """Reads what `save` wrote for a network of the same layout."""

    def description(self) -> dict[str, Any]:
        """
        Describes network and optimizer as plain data, before anything is restored.

        Returns:
            `optimizer` and `schedule`: their kinds. `settings`: their numbers by name, those that `restore` overwrites
            and `take_over` can put back, or that act as they are. `layers`: of the network, in words.
        """
        return {}

    def take_over(self, settings: Collection[str]) -> None:  # noqa: B027
        """Sets these settings to what they were when this object was made. It is called after `restore`."""

    def advance(self) -> None:  # noqa: B027
        """Moves on what counts steps by itself, such as a learning-rate schedule. It is called after each step."""
