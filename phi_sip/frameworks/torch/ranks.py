"""Processes of PyTorch's DistributedDataParallel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, eq=False)
class Ranks:
    """The processes of a group, see `Workers`."""

    group: Any
    device: torch.device

    @staticmethod
    def of(modules: Sequence[torch.nn.Module]) -> Ranks | None:
        """Returns those among which a module is distributed; `None` if none is."""
        for module in modules:
            if isinstance(module, DistributedDataParallel):
                return Ranks(module.process_group, next(module.parameters()).device)
        return None

    @property
    def count(self) -> int:
        return int(distributed.get_world_size(self.group))

    def sum(self, native: torch.Tensor) -> torch.Tensor:
        return self._reduced(native, distributed.ReduceOp.SUM)

    def max(self, native: torch.Tensor) -> torch.Tensor:
        return self._reduced(native, distributed.ReduceOp.MAX)

    def any_failed(self, failed: bool) -> bool:
        return bool(self.sum(torch.tensor(float(failed), device=self.device)) > 0)

    def _reduced(self, native: torch.Tensor, operation: Any) -> torch.Tensor:
        reduced = native.detach().clone(memory_format=torch.contiguous_format)  # only memory is sent, not its order
        distributed.all_reduce(reduced, operation, group=self.group)
        return reduced
