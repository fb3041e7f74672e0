"""Keras and TensorFlow: the variables of a model or `tf.Module`, in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...storage.sizes import check_size
from ..arrays import read_archive, read_arrays, write_arrays
from ..origin import defined_in
from .call import call_keras

FILE = "weights.safetensors"
ARCHIVE, HDF5 = "weights.npz", "model.weights.h5"  # of earlier versions


def save(net: Any, folder: Path) -> None:
    """Writes weights and batch statistics into a folder."""
    write_arrays(folder / FILE, [variable.numpy() for variable in net.variables])


def load(net: Any, folder: Path) -> None:
    """Gives a network of the same kind what `save` wrote."""
    if (folder / HDF5).exists():
        check_size(folder / HDF5, _unpacked(folder / HDF5), len(net.variables), sum(map(_bytes_of, net.variables)))
        net.load_weights(folder / HDF5)
        return
    like = [variable.numpy() for variable in net.variables]
    archive = folder / ARCHIVE
    values = read_archive(archive, like) if archive.exists() else read_arrays(folder / FILE, like)
    for variable, value in zip(net.variables, values, strict=True):
        variable.assign(value)
    _take_over(net)


def _take_over(net: Any) -> None:
    """Lets layers that keep numbers made of their variables, as Keras' `Normalization`, make them anew."""
    layers = net._flatten_layers() if hasattr(net, "_flatten_layers") else ()
    for layer in layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def evaluation(net: Any) -> Callable[[Any], Any]:
    """Returns the network as it is used for inference, as a function of native tensors."""
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
