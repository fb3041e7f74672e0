"""PyTorch: `state_dict`s, read as tensors and plain containers only."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from ...contract.training_state import Layout, TrainingState
from ...errors import CheckpointError, UnsupportedError
from ...storage.archives import unpacked_size
from .trainable import TorchTrainable

FILE = "state.pt"


class TorchState(TrainingState):
    """One or several modules, an optimizer, and a `torch.optim.lr_scheduler` that is stepped once per step."""

    framework: ClassVar[str] = "torch"

    def __init__(self, net: Any, optimizer: Any, schedule: Any) -> None:
        schedulers = torch.optim.lr_scheduler
        if schedule is not None and (
            not isinstance(schedule, schedulers.LRScheduler) or isinstance(schedule, schedulers.ReduceLROnPlateau)
        ):
            raise UnsupportedError(
                f"schedule is a {type(schedule).__name__}. On PyTorch give a torch.optim.lr_scheduler of the optimizer "
                f"that goes by steps, e.g. CosineAnnealingLR(optimizer, T_max=steps)."
            )
        trainable = TorchTrainable(net, optimizer)
        if trainable.workers is not None:
            raise UnsupportedError(
                "phi_sip.train runs one process. With DistributedDataParallel write the loop around "
                "sip_update_weights, as in examples/distributed."
            )
        super().__init__(trainable)
        self._schedule = schedule
        self._modules = trainable.modules
        self._given = _settings(optimizer, schedule)

    @property
    def learning_rate(self) -> float | None:
        return float(self.optimizer.param_groups[0]["lr"])

    def layout(self) -> Layout:
        return [[list(t.shape), str(t.dtype)] for net in self._modules for t in net.state_dict().values()]

    def save(self, folder: Path) -> None:
        state = {
            "modules": [module.state_dict() for module in self._modules],
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self._schedule is None else self._schedule.state_dict(),
            "random": torch.get_rng_state(),
            "random_of_devices": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        torch.save(state, folder / FILE)

    def restore(self, folder: Path) -> None:
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

    def description(self) -> dict[str, Any]:
        layers = [f"{name}: {_in_words(module)}" for net in self._modules for name, module in net.named_modules()]
        kind = "none" if self._schedule is None else type(self._schedule).__name__
        settings = {name: _plain(value) for name, (*_, value) in self._given.items()}
        return {
            "optimizer": type(self.optimizer).__name__,
            "schedule": kind,
            "settings": settings,
            "layers": layers,
        }

    def take_over(self, settings: Collection[str]) -> None:
        """Sets what `load_state_dict` has replaced; learning rates keep where their schedule is."""
        for name in (name for name in settings if name in self._given):
            holder, key, value = self._given[name]
            place = holder()
            if key == "lr" and "initial_lr" in place:
                place["lr"] = place["lr"] * (value / place["initial_lr"])
                place["initial_lr"] = value
            else:
                place[key] = value
        if self._schedule is not None and any(self._given[name][1] == "lr" for name in settings if name in self._given):
            self._schedule.base_lrs = [group["initial_lr"] for group in self.optimizer.param_groups]

    def advance(self) -> None:
        if self._schedule is not None:
            self._schedule.step()


Setting = tuple[Callable[[], Any], str, Any]
PROGRESS = {"last_epoch", "base_lrs"}  # of a schedule, besides what begins with an underscore


def _settings(optimizer: Any, schedule: Any) -> dict[str, Setting]:
    """
    Returns by name what holds a setting, under which key, and its value. That of a learning rate is where it began.
    """
    groups = optimizer.param_groups
    found: dict[str, Setting] = {}
    for number, group in enumerate(groups):
        prefix = f"group {number}: " if len(groups) > 1 else ""
        for key in (key for key in group if key not in ("params", "initial_lr")):
            value = group.get("initial_lr", group["lr"]) if key == "lr" else group[key]
            found[f"{prefix}{key}"] = partial(_group, optimizer, number), key, value
    if schedule is not None and schedule.last_epoch == 0:  # of one that has been used, only the kind is known
        for key, value in schedule.state_dict().items():
            if key not in PROGRESS and not key.startswith("_"):
                found[f"schedule {key}"] = partial(vars, schedule), key, value
    return {name: setting for name, setting in found.items() if _plain(setting[-1]) is not None}


def _group(optimizer: Any, number: int) -> dict[str, Any]:
    """Returns a group as it is now; `load_state_dict` replaces them."""
    group: dict[str, Any] = optimizer.param_groups[number]
    return group


def _plain(value: Any) -> Any:
    """Returns a value as plain data; `None` if it is something else."""
    if hasattr(value, "item") and getattr(value, "numel", lambda: 0)() == 1:
        return value.item()
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(part, (bool, int, float, str)) for part in value):
        return list(value)
    if isinstance(value, dict):  # milestones
        return str(dict(value))
    return None


def _in_words(module: Any) -> str:
    """Class and settings of one module, without addresses in memory."""
    return re.sub(r"0x[0-9a-f]+", "", f"{type(module).__name__}({module.extra_repr()})")
