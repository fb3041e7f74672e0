"""PyTorch."""

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


class PyTorch(TrainingFramework):
    """PyTorch."""

    name: ClassVar[str] = "torch"

    @property
    def backend(self) -> Backend:
        from phi.torch import TORCH

        return TORCH

    @property
    def operations(self) -> Operations:
        from . import operations

        return operations

    def is_network(self, net: Any) -> bool:
        nets = net if isinstance(net, (list, tuple)) else [net]
        return bool(nets) and all(defined_in(n, "torch") and hasattr(n, "parameters") for n in nets)

    def trainable(self, net: Any, optimizer: Any, training: bool | None = None) -> Trainable:
        from .trainable import TorchTrainable

        return TorchTrainable(net, optimizer, training)

    def training_state(self, net: Any, optimizer: Any, schedule: Any = None) -> TrainingState:
        from .checkpoint import TorchState

        return TorchState(net, optimizer, schedule)

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
    return [PyTorch()]
