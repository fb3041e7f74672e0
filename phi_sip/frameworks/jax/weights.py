"""JAX: the leaves of the tree of parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..arrays import read_archive, read_arrays, write_arrays
from .call import call_stax

FILE = "weights.safetensors"
ARCHIVE = "weights.npz"  # of earlier versions


def save(net: Any, folder: Path) -> None:
    """Writes weights and batch statistics into a folder."""
    write_arrays(folder / FILE, jax.tree_util.tree_leaves(net.parameters))


def load(net: Any, folder: Path) -> None:
    """Gives a network of the same kind what `save` wrote."""
    leaves, structure = jax.tree_util.tree_flatten(net.parameters)
    archive = folder / ARCHIVE
    arrays = read_archive(archive, leaves) if archive.exists() else read_arrays(folder / FILE, leaves)
    net.parameters = jax.tree_util.tree_unflatten(structure, [jax.numpy.asarray(array) for array in arrays])


def trained(net: Any) -> list[np.ndarray]:
    """Returns copies of the weights."""
    return [np.array(leaf) for leaf in jax.tree_util.tree_leaves(net.parameters)]


def set_trained(net: Any, weights: Sequence[np.ndarray]) -> None:
    """Gives the network these weights."""
    leaves, structure = jax.tree_util.tree_flatten(net.parameters)
    new = [jax.numpy.asarray(w, leaf.dtype) for w, leaf in zip(weights, leaves, strict=True)]
    net.parameters = jax.tree_util.tree_unflatten(structure, new)


def state(net: Any) -> list[Any]:
    """Returns the weights, which nobody can change."""
    return list(jax.tree_util.tree_leaves(net.parameters))


def set_state(net: Any, state: Sequence[Any]) -> None:
    """Gives the network these weights."""
    leaves, structure = jax.tree_util.tree_flatten(net.parameters)
    new = [value.astype(leaf.dtype) for value, leaf in zip(state, leaves, strict=True)]
    net.parameters = jax.tree_util.tree_unflatten(structure, new)


def tensor_like(native: Any, array: np.ndarray) -> Any:
    """Returns an array as a JAX array."""
    return jax.numpy.asarray(array)


def evaluation(net: Any) -> Callable[[Any], Any]:
    """Returns the network as it is used for inference, as a function of native tensors."""
    return lambda native: call_stax(net, native)
