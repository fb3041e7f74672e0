"""
What the benchmarks take from each framework itself, one module per framework.

Nothing of `phi_sip` is in the steps that are measured. On JAX its `OptaxOptimizer` holds the state of the optimizer.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np


@dataclass(frozen=True)
class Framework:
    """
    What can be measured on a framework.

    Attributes:
        has_chapter: Whether the published chapter runs on it.
        runs_without_compiling: Whether `compile=False` is something else than the default, and does not take minutes.
    """

    has_chapter: bool
    runs_without_compiling: bool


FRAMEWORKS = {"tensorflow": Framework(True, True), "torch": Framework(True, False), "jax": Framework(False, False)}


class Native(Protocol):
    """What each module of this package provides. Importing it makes the framework PhiFlow's default."""

    def seed(self, seed: int) -> None:
        """For the weights of networks."""

    def adam(self, net: Any, rate: float) -> Any:
        """Adam for a network of PhiML."""

    def supervised_step(self, net: Any, optimizer: Any, y: np.ndarray, x: np.ndarray) -> Callable[[], float]:
        """A training step with labels as one writes it for this framework; returns the loss. Arrays (batch, x, y)."""

    def fft_pair(self, values: np.ndarray) -> Callable[[], Any]:
        """A real Fourier transform over all axes but the first and its inverse, compiled where that pays."""

    def finished(self, result: Any) -> Any:
        """Waits until a native result is there, on whichever device it is, and returns it."""

    def restart_peak(self) -> None:
        """Begins to look for the peak of the memory on a GPU; where that cannot be, it goes on."""

    def peak_bytes(self) -> int | None:
        """Largest memory in use on the GPU so far; `None` where there is none."""


def use(framework: str) -> Native:
    """The module of a framework, which is PhiFlow's default from now on."""
    return cast(Native, importlib.import_module(f"{__name__}.{framework}"))


def installed() -> list[str]:
    """Frameworks that can be imported here."""
    return [name for name in FRAMEWORKS if importlib.util.find_spec(name)]
