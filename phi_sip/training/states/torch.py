"""PyTorch: `state_dict`s, read as tensors and plain containers only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from ...archives import unpacked_size
from ...errors import CheckpointError, UnsupportedError
from ...hookspecs import hookimpl
from ...physics.base import InvertiblePhysics
from ...trainers.base import defined_in
from ...update import UpdateRequest, prediction
from .base import Layout, TrainingState

FILE = "state.pt"


class TorchState(TrainingState):
    """One or several modules, an optimizer, and a `torch.optim.lr_scheduler` that is stepped once per step."""

    framework: ClassVar[str] = "torch"

    def __init__(self, net: Any, optimizer: Any, schedule: Any) -> None:
        import torch

        from ...trainers.torch import TorchTrainer

        schedulers = torch.optim.lr_scheduler
        if schedule is not None and (
            not isinstance(schedule, schedulers.LRScheduler) or isinstance(schedule, schedulers.ReduceLROnPlateau)
        ):
            raise UnsupportedError(
                f"schedule is a {type(schedule).__name__}. On PyTorch give a torch.optim.lr_scheduler of the optimizer "
                f"that goes by steps, e.g. CosineAnnealingLR(optimizer, T_max=steps)."
            )
        self._torch = torch
        self._trainer = TorchTrainer(net, optimizer)
        if self._trainer.workers is not None:
            raise UnsupportedError(
                "phi_sip.train runs one process. With DistributedDataParallel write the loop around "
                "sip_update_weights, as in examples/distributed."
            )
        self.net, self.optimizer, self._schedule = net, optimizer, schedule
        self._modules = self._trainer.modules

    @property
    def learning_rate(self) -> float | None:
        return float(self.optimizer.param_groups[0]["lr"])

    def predict(self, physics: InvertiblePhysics, y_target: Any, predict: Callable[[Any], Any] | None) -> Any:
        with self._trainer.evaluating():
            return prediction(self._trainer, physics, y_target, predict)()

    def prepare(self, physics: InvertiblePhysics, y_target: Any, predict: Callable[[Any], Any] | None) -> None:
        self._trainer.prepare(UpdateRequest(physics, y_target, predict))

    def layout(self) -> Layout:
        return [[list(t.shape), str(t.dtype)] for net in self._modules for t in net.state_dict().values()]

    def save(self, folder: Path) -> None:
        torch = self._torch
        state = {
            "modules": [module.state_dict() for module in self._modules],
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self._schedule is None else self._schedule.state_dict(),
            "random": torch.get_rng_state(),
            "random_of_devices": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        torch.save(state, folder / FILE)

    def restore(self, folder: Path) -> None:
        torch = self._torch
        if unpacked_size(folder / FILE) > (folder / FILE).stat().st_size:
            raise CheckpointError(f"{FILE} is compressed, as PyTorch writes none, so it was not read.")
        state = torch.load(folder / FILE, map_location="cpu", weights_only=True)
        for module, saved in zip(self._modules, state["modules"], strict=True):
            module.load_state_dict(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        if self._schedule is not None:
            self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        if state["random_of_devices"] and torch.cuda.device_count() == len(state["random_of_devices"]):
            torch.cuda.set_rng_state_all(state["random_of_devices"])

    def advance(self) -> None:
        if self._schedule is not None:
            self._schedule.step()


@hookimpl
def sip_training_state(net: Any, optimizer: Any, schedule: Any) -> TrainingState | None:
    nets = net if isinstance(net, (list, tuple)) else [net]
    if not nets or not all(defined_in(n, "torch") and hasattr(n, "parameters") for n in nets):
        return None
    return TorchState(net, optimizer, schedule)
