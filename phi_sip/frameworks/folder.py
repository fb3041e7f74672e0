"""A framework whose parts are the files of one folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from phiml.backend import Backend

from ..contract.framework import Named, TrainingFramework
from ..contract.operations import Operations
from ..contract.trainable import Trainable
from ..contract.training_state import TrainingState


class FrameworkFolder(TrainingFramework):
    """
    A framework whose parts are the files of the folder in which its class is: `operations.py`, `trainable.py`,
    `checkpoint.py`, `weights.py` and `optimizers.py`. Each is imported when it is first needed, with the framework.

    Attributes:
        of_phiflow: Module of PhiFlow, and name of its backend there.
        trainable_class: Name of the `Trainable` in `trainable.py`.
        state_class: Name of the `TrainingState` in `checkpoint.py`.
    """

    of_phiflow: ClassVar[tuple[str, str]]
    trainable_class: ClassVar[str]
    state_class: ClassVar[str]

    def _file(self, name: str) -> Any:
        return importlib.import_module(f"{type(self).__module__}.{name}")

    @property
    def backend(self) -> Backend:
        module, name = self.of_phiflow
        backend: Backend = getattr(importlib.import_module(module), name)
        return backend

    @property
    def operations(self) -> Operations:
        operations: Operations = self._file("operations")
        return operations

    def trainable(self, net: Any, optimizer: Any, training: bool | None = None) -> Trainable:
        made: Trainable = getattr(self._file("trainable"), self.trainable_class)(net, optimizer, training)
        return made

    def training_state(self, net: Any, optimizer: Any, schedule: Any = None) -> TrainingState:
        made: TrainingState = getattr(self._file("checkpoint"), self.state_class)(net, optimizer, schedule)
        return made

    def save_weights(self, net: Any, folder: Path) -> None:
        self._file("weights").save(net, folder)

    def load_weights(self, net: Any, folder: Path) -> None:
        self._file("weights").load(net, folder)

    def weights(self, net: Any) -> list[np.ndarray]:
        found: list[np.ndarray] = self._file("weights").trained(net)
        return found

    def set_weights(self, net: Any, weights: Sequence[np.ndarray]) -> None:
        self._file("weights").set_trained(net, weights)

    def state(self, net: Any) -> list[Any]:
        found: list[Any] = self._file("weights").state(net)
        return found

    def set_state(self, net: Any, state: Sequence[Any]) -> None:
        self._file("weights").set_state(net, state)

    def tensor_like(self, native: Any, array: np.ndarray) -> Any:
        return self._file("weights").tensor_like(native, array)

    def evaluation(self, net: Any) -> Callable[[Any], Any]:
        function: Callable[[Any], Any] = self._file("weights").evaluation(net)
        return function

    def seed(self, seed: int) -> None:
        self._file("optimizers").seed(seed)

    def optimizer(self, net: Any, optimizer: Named, rate: float, schedule: Named | None) -> tuple[Any, Any]:
        made: tuple[Any, Any] = self._file("optimizers").optimizer(net, optimizer, rate, schedule)
        return made
