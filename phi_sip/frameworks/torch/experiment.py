"""PyTorch."""

from __future__ import annotations

from typing import Any

from ...experiment.specification import Optimizer
from ..lookup import derived_from, made


def activate() -> None:
    from phi.torch import TORCH
    from phiml.backend import set_global_default_backend

    set_global_default_backend(TORCH)


def seed(seed: int) -> None:
    import torch

    torch.manual_seed(seed)


def is_network(net: Any) -> bool:
    import torch

    return isinstance(net, torch.nn.Module)


def optimizer(net: Any, spec: Optimizer) -> tuple[Any, Any]:
    import torch

    given = {"params": net.parameters(), "lr": spec.learning_rate}
    found = made("optimizer", torch.optim, derived_from(torch.optim.Optimizer), spec.name, given, spec.arguments)
    if spec.schedule is None:
        return found, None
    schedules = torch.optim.lr_scheduler
    is_one = derived_from(schedules.LRScheduler)
    return found, made("schedule", schedules, is_one, spec.schedule.name, {"optimizer": found}, spec.schedule.arguments)
