"""Keras: weights in HDF5; variables of a `tf.Module` as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phiml.backend import Backend

from ...trainers.base import defined_in
from ...trainers.tensorflow import call_keras
from .arrays import read_arrays, write_arrays

FILE = "model.weights.h5"
FILE_OF_MODULES = "weights.npz"


def backend() -> Backend:
    from phi.tf import TENSORFLOW

    return TENSORFLOW


def save(net: Any, folder: Path) -> None:
    if hasattr(net, "save_weights"):
        net.save_weights(folder / FILE)
    else:
        write_arrays(folder / FILE_OF_MODULES, [variable.numpy() for variable in net.variables])


def load(net: Any, folder: Path) -> None:
    if hasattr(net, "load_weights"):
        net.load_weights(folder / FILE)
        return
    values = read_arrays(folder / FILE_OF_MODULES, [variable.numpy() for variable in net.variables])
    for variable, value in zip(net.variables, values, strict=True):
        variable.assign(value)


def evaluation(net: Any) -> Callable[[Any], Any]:
    options = {"training": False} if defined_in(net, "keras") else {}
    return lambda native: call_keras(net, native, options)
