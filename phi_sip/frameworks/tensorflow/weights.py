"""Keras and TensorFlow: the variables of a model or `tf.Module`, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import CheckpointError
from ...storage.sizes import check_size
from ..arrays import read_archive, read_arrays, write_arrays
from ..origin import defined_in
from .call import call_keras

FILE = "weights.safetensors"
ARCHIVE, HDF5 = "weights.npz", "model.weights.h5"  # of earlier versions


def save(net: Any, folder: Path) -> None:
    """Writes weights and batch statistics into a folder."""
    write_arrays(folder / FILE, _arrays(net))


def load(net: Any, folder: Path) -> None:
    """Gives a network of the same kind what `save` wrote."""
    if (folder / HDF5).exists():
        check_size(folder / HDF5, _unpacked(folder / HDF5), len(net.variables), sum(map(_bytes_of, net.variables)))
        net.load_weights(folder / HDF5)
        return
    arrays, has_own = _saved(net, folder)
    values = iter(arrays)
    for variable in net.variables:
        variable.assign(next(values))
    for layer in _layers(net, "load_own_variables"):  # which may make other numbers of them, as Normalization does
        form = _form(layer)
        own = has_own and _is_foreign(layer)
        layer.load_own_variables({name: next(values) for name in form} if own else form)


def _saved(net: Any, folder: Path) -> tuple[Sequence[np.ndarray], bool]:
    """Returns what is saved, and whether what the user's own layers save is among it: earlier versions left it out."""
    variables, everything = [variable.numpy() for variable in net.variables], _arrays(net)
    if (folder / ARCHIVE).exists():
        return read_archive(folder / ARCHIVE, variables), False
    try:
        return read_arrays(folder / FILE, everything), True
    except CheckpointError:
        if len(everything) == len(variables):
            raise
        return read_arrays(folder / FILE, variables), False


def _arrays(net: Any) -> list[Any]:
    """Returns the values of all variables, and what the user's own layers save in their place."""
    own = [
        array for layer in _layers(net, "load_own_variables") if _is_foreign(layer) for array in _form(layer).values()
    ]
    return [*(variable.numpy() for variable in net.variables), *own]


def _layers(net: Any, method: str) -> list[Any]:
    """Returns the layers of a Keras model that have their own form of a method of all layers."""
    if not hasattr(net, "_flatten_layers"):
        return []
    import keras

    common = getattr(keras.layers.Layer, method)
    return [layer for layer in net._flatten_layers() if getattr(type(layer), method) is not common]


def _is_foreign(layer: Any) -> bool:
    """Tells whether a layer is saved in a form that is not of Keras, and so may hold more than its variables."""
    return not type(layer).save_own_variables.__module__.startswith("keras.")


def _form(layer: Any) -> dict[str, Any]:
    """Returns what a layer saves, by name."""
    form: dict[str, Any] = {}
    layer.save_own_variables(form)
    return {name: np.asarray(array) for name, array in sorted(form.items())}


def trained(net: Any) -> list[np.ndarray]:
    """Returns copies of the trainable variables."""
    return [np.array(variable.numpy()) for variable in net.trainable_variables]


def set_trained(net: Any, weights: Sequence[np.ndarray]) -> None:
    """Gives the trainable variables these values."""
    for variable, value in zip(net.trainable_variables, weights, strict=True):
        variable.assign(value)


def state(net: Any) -> list[Any]:
    """Returns copies of all variables."""
    return [tf.identity(tf.convert_to_tensor(variable)) for variable in net.variables]


def set_state(net: Any, state: Sequence[Any]) -> None:
    """Gives all variables these values."""
    for variable, value in zip(net.variables, state, strict=True):
        variable.assign(tf.cast(value, variable.dtype))


def tensor_like(native: Any, array: np.ndarray) -> Any:
    """Returns an array as a tensor."""
    return tf.convert_to_tensor(array)


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
