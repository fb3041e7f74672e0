"""Keras: weights in HDF5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phiml.backend import Backend

from ...trainers.tensorflow import call_keras

FILE = "model.weights.h5"


def backend() -> Backend:
    from phi.tf import TENSORFLOW

    return TENSORFLOW


def save(net: Any, folder: Path) -> None:
    net.save_weights(folder / FILE)


def load(net: Any, folder: Path) -> None:
    net.load_weights(folder / FILE)


def evaluation(net: Any) -> Callable[[Any], Any]:
    return lambda native: call_keras(net, native, {"training": False})
