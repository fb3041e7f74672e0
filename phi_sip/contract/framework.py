"""A framework of tensors, and one that trains networks: one object, which a plugin can add."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from phiml.backend import Backend

from ..errors import UnsupportedError
from .operations import Operations
from .trainable import Trainable
from .training_state import TrainingState


class Framework(ABC):
    """
    A framework of tensors. Making this object imports nothing.

    Attributes:
        name: That of PhiML's backend, e.g. `"torch"`.
    """

    name: ClassVar[str] = ""

    @property
    @abstractmethod
    def backend(self) -> Backend:
        """PhiML's backend. Imports the framework."""

    @property
    @abstractmethod
    def operations(self) -> Operations:
        """Operations on native tensors that PhiML lacks. Imports the framework."""


@dataclass(frozen=True)
class Named:
    """
    An optimizer or a learning-rate schedule as plain data.

    Attributes:
        name: Its name in the framework; upper and lower case are the same.
        arguments: Its keyword arguments.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class TrainingFramework(Framework):
    """A framework that trains networks. Everything that phi_sip needs of it is here."""

    @abstractmethod
    def is_network(self, net: Any) -> bool:
        """
        Tells whether `net` is a network of this framework, or several. It looks at the class of `net` only and imports
        nothing.
        """

    @abstractmethod
    def trainable(self, net: Any, optimizer: Any, training: bool | None = None) -> Trainable:
        """
        Returns what an update of `net` by `optimizer` needs.

        Args:
            net, optimizer, training: See `sip_update_weights`.

        Raises:
            UnsupportedError: if the optimizer is not of this framework.
            ParameterError: if `training` has no meaning here.
        """

    @abstractmethod
    def training_state(self, net: Any, optimizer: Any, schedule: Any = None) -> TrainingState:
        """
        Returns what `train` saves and restores.

        Args:
            net, optimizer: See `sip_update_weights`.
            schedule: Learning-rate schedule of the framework, if it is an object of its own.

        Raises:
            UnsupportedError: if the schedule is of another kind, or several processes train the network.
        """

    @abstractmethod
    def save_weights(self, net: Any, folder: Path) -> None:
        """Writes weights and batch statistics into a folder."""

    @abstractmethod
    def load_weights(self, net: Any, folder: Path) -> None:
        """
        Gives a network of the same kind what `save_weights` wrote.

        Raises:
            CheckpointError: if the file does not fit the network.
        """

    def weights(self, net: Any) -> list[np.ndarray]:
        """
        Returns copies of the weights that are trained, in the order in which the network has made them.

        Raises:
            UnsupportedError: if the framework does not give its weights.
        """
        raise UnsupportedError(f"The framework '{self.name}' does not say what the weights of its networks are.")

    def set_weights(self, net: Any, weights: Sequence[np.ndarray]) -> None:
        """
        Gives a network what `weights` returned.

        Raises:
            UnsupportedError: if the framework does not take weights.
        """
        raise UnsupportedError(f"The framework '{self.name}' does not let the weights of its networks be set.")

    def state(self, net: Any) -> list[Any]:
        """
        Returns copies of all that decides what the network answers, weights and batch statistics, as native tensors.

        Raises:
            UnsupportedError: if the framework does not give them.
        """
        raise UnsupportedError(f"The framework '{self.name}' does not say what the state of its networks is.")

    def set_state(self, net: Any, state: Sequence[Any]) -> None:
        """
        Gives a network what `state` returned, or tensors like these. The network keeps none of them.

        Raises:
            UnsupportedError: if the framework does not take them.
        """
        raise UnsupportedError(f"The framework '{self.name}' does not let the state of its networks be set.")

    def tensor_like(self, native: Any, array: np.ndarray) -> Any:
        """
        Returns an array as a native tensor where another one is.

        Raises:
            UnsupportedError: if the framework does not make tensors.
        """
        raise UnsupportedError(f"The framework '{self.name}' does not say how its tensors are made.")

    def evaluating(self, net: Any) -> AbstractContextManager[Any]:
        """Returns the context in which functions of a network are evaluated as for inference, without gradients."""
        return nullcontext()

    @abstractmethod
    def evaluation(self, net: Any) -> Callable[[Any], Any]:
        """Returns the network as it is used for inference, as a function of native tensors."""

    @abstractmethod
    def seed(self, seed: int) -> None:
        """Sets the seed of all random numbers of the framework."""

    @abstractmethod
    def optimizer(self, net: Any, optimizer: Named, rate: float, schedule: Named | None) -> tuple[Any, Any]:
        """
        Makes an optimizer by name.

        Args:
            net: The network that it trains.
            optimizer: Its name and arguments.
            rate: Learning rate without a schedule.
            schedule: Learning-rate schedule by name.

        Returns:
            The optimizer, and what `train` takes as `schedule`.

        Raises:
            UnknownNameError: if the framework has no such optimizer or schedule.
            ParameterError: if the arguments do not fit.
        """
