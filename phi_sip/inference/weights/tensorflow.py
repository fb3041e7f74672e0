"""Keras: weights in HDF5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phiml.backend import Backend

from ...errors import CheckpointError
from .measured import check_size

FILE = "model.weights.h5"


def backend() -> Backend:
    from phi.tf import TENSORFLOW

    return TENSORFLOW


def save(net: Any, folder: Path) -> None:
    net.save_weights(folder / FILE)


def load(net: Any, folder: Path) -> None:
    check_size(folder / FILE, _unpacked(folder / FILE), len(net.variables), sum(map(_bytes_of, net.variables)))
    net.load_weights(folder / FILE)


def evaluation(net: Any) -> Callable[[Any], Any]:
    return lambda native: net(native, training=False)


def _bytes_of(variable: Any) -> int:
    return int(variable.numpy().nbytes)


def _unpacked(path: Path) -> int:
    """The bytes of all arrays of an HDF5 file, which must lie in it: HDF5 can lead to other files."""
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
