"""How each framework is made ready, seeded, and makes optimizers: one file per framework."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from .specification import Optimizer


class FrameworkModule(Protocol):
    """What each file of this package holds."""

    def activate(self) -> None:
        """Makes it the default backend of PhiML."""

    def seed(self, seed: int) -> None:
        """Of initial weights."""

    def is_network(self, net: Any) -> bool:
        """Whether this has weights as its optimizers take them."""

    def optimizer(self, net: Any, spec: Optimizer) -> tuple[Any, Any]:
        """An optimizer, and what `train` takes as `schedule`."""


def framework_module(name: str) -> FrameworkModule:
    """The file of a framework; imports it."""
    module: Any = importlib.import_module(f"phi_sip.frameworks.{name}.experiment")
    return module  # type: ignore[no-any-return]
