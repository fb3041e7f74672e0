"""PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from ...contract.framework import Framework
from ...contract.markers import hookimpl
from ..folder import FrameworkFolder
from ..origin import defined_in


class PyTorch(FrameworkFolder):
    """PyTorch."""

    name: ClassVar[str] = "torch"
    of_phiflow = ("phi.torch", "TORCH")
    trainable_class = "TorchTrainable"
    state_class = "TorchState"

    def evaluating(self, net: Any) -> AbstractContextManager[None]:
        context: AbstractContextManager[None] = self._file("call").evaluating(net)
        return context

    def is_network(self, net: Any) -> bool:
        nets = net if isinstance(net, (list, tuple)) else [net]
        return bool(nets) and all(defined_in(n, "torch") and hasattr(n, "parameters") for n in nets)


@hookimpl
def sip_frameworks() -> Sequence[Framework]:
    return [PyTorch()]
