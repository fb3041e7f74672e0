"""JAX: the leaves of the tree of parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phiml.backend import Backend

from ..arrays import read_archive, read_arrays, write_arrays
from .trainable import call_stax

FILE = "weights.safetensors"
ARCHIVE = "weights.npz"  # of earlier versions


def backend() -> Backend:
    from phi.jax import JAX

    return JAX


def save(net: Any, folder: Path) -> None:
    import jax

    write_arrays(folder / FILE, jax.tree_util.tree_leaves(net.parameters))


def load(net: Any, folder: Path) -> None:
    import jax

    leaves, structure = jax.tree_util.tree_flatten(net.parameters)
    archive = folder / ARCHIVE
    arrays = read_archive(archive, leaves) if archive.exists() else read_arrays(folder / FILE, leaves)
    net.parameters = jax.tree_util.tree_unflatten(structure, [jax.numpy.asarray(array) for array in arrays])


def evaluation(net: Any) -> Callable[[Any], Any]:
    return lambda native: call_stax(net, native)
