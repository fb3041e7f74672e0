"""TensorFlow with Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from phiml.backend import Backend

from ...contract.framework import Framework, Named, TrainingFramework
from ...contract.markers import hookimpl
from ...contract.operations import Operations
from ...contract.trainable import Trainable
from ...contract.training_state import TrainingState
from ..origin import defined_in


class TensorFlow(TrainingFramework):
    """TensorFlow with Keras."""

    name: ClassVar[str] = "tensorflow"

    @property
    def backend(self) -> Backend:
        from phi.tf import TENSORFLOW

        return TENSORFLOW

    @property
    def operations(self) -> Operations:
        from . import operations

        return operations

    def is_network(self, net: Any) -> bool:
        return defined_in(net, "keras", "tensorflow") and hasattr(net, "trainable_variables")

    def trainable(self, net: Any, optimizer: Any, training: bool | None = None) -> Trainable:
        from .trainable import TensorFlowTrainable

        return TensorFlowTrainable(net, optimizer, training)

    def training_state(self, net: Any, optimizer: Any, schedule: Any = None) -> TrainingState:
        from .checkpoint import TensorFlowState

        return TensorFlowState(net, optimizer, schedule)

    def save_weights(self, net: Any, folder: Path) -> None:
        from .weights import save

        save(net, folder)

    def load_weights(self, net: Any, folder: Path) -> None:
        from .weights import load

        load(net, folder)

    def evaluation(self, net: Any) -> Callable[[Any], Any]:
        from .weights import evaluation

        return evaluation(net)

    def seed(self, seed: int) -> None:
        from .optimizers import seed as set_seed

        set_seed(seed)

    def optimizer(self, net: Any, optimizer: Named, rate: float, schedule: Named | None) -> tuple[Any, Any]:
        from .optimizers import optimizer as make

        return make(net, optimizer, rate, schedule)


@hookimpl
def sip_frameworks() -> Sequence[Framework]:
    return [TensorFlow()]
