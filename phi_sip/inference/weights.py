"""Weights of networks in files without code: one file per framework."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from phiml.backend import Backend


class WeightsModule(Protocol):
    """What each file of this package holds."""

    FILE: str
    """Name of the file of weights."""

    def backend(self) -> Backend:
        """PhiML's backend; imports the framework."""

    def save(self, net: Any, folder: Path) -> None:
        """Writes weights and batch statistics into a folder."""

    def load(self, net: Any, folder: Path) -> None:
        """Gives a network of the same kind what `save` wrote."""

    def evaluation(self, net: Any) -> Callable[[Any], Any]:
        """The network as it is used for inference, as a function of native tensors."""


def weights_module(framework: str) -> WeightsModule:
    """The file of a framework."""
    module: Any = importlib.import_module(f"phi_sip.frameworks.{framework}.weights")
    return module  # type: ignore[no-any-return]
