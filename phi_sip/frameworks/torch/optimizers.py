"""PyTorch optimizers by name, and its seed."""

from __future__ import annotations

from typing import Any

import torch

from ...contract.framework import Named
from ..lookup import derived_from, made


def seed(seed: int) -> None:
    """Sets the seed of all random numbers of the framework."""
    torch.manual_seed(seed)


def optimizer(net: Any, named: Named, rate: float, schedule: Named | None) -> tuple[Any, Any]:
    """Makes an optimizer, and what `train` takes as `schedule`, by name."""
    given = {"params": net.parameters(), "lr": rate}
    found = made("optimizer", torch.optim, derived_from(torch.optim.Optimizer), named.name, given, named.arguments)
    if schedule is None:
        return found, None
    schedules = torch.optim.lr_scheduler
    is_one = derived_from(schedules.LRScheduler)
    return found, made("schedule", schedules, is_one, schedule.name, {"optimizer": found}, schedule.arguments)
