"""Keras: weights in HDF5; variables of a `tf.Module` as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phiml.backend import Backend

from ...errors import CheckpointError
from ...inference.measured import check_size
from ..arrays import read_arrays, write_arrays
from ..origin import defined_in
from .call import call_keras

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
        check_size(folder / FILE, _unpacked(folder / FILE), len(net.variables), sum(map(_bytes_of, net.variables)))
        net.load_weights(folder / FILE)
        return
    values = read_arrays(folder / FILE_OF_MODULES, [variable.numpy() for variable in net.variables])
    for variable, value in zip(net.variables, values, strict=True):
        variable.assign(value)


def evaluation(net: Any) -> Callable[[Any], Any]:
    options = {"training": False} if defined_in(net, "keras") else {}
    return lambda native: call_keras(net, native, options)


def _bytes_of(variable: Any) -> int:
    return int(variable.numpy().nbytes)


def _unpacked(path: Path) -> int:
    """Returns the bytes of all arrays of an HDF5 file, which must lie in it: HDF5 can lead to other files."""
    import h5py  # type: ignore[import-untyped]

    if not path.is_file():
        raise CheckpointError(f"{path.name} is missing.")
    found = 0

    def measure(group: Any) -> None:
        nonlocal found
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CheckpointError(f"{path.name} has a link to another place in it, which is not followed.")
            item = group[name]
            if isinstance(item, h5py.Group):
                measure(item)
                continue
            if item.is_virtual or item.external:
                raise CheckpointError(f"{path.name} has its values in another file, which is not read.")
            found += item.nbytes

    with h5py.File(path, "r") as file:
        measure(file)
    return found
