"""JAX: the leaves of the tree of parameters as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from phiml.backend import Backend

from ...archives import shapes_in
from ...errors import CheckpointError
from .measured import check_archive

FILE = "weights.npz"


def backend() -> Backend:
    from phi.jax import JAX

    return JAX


def save(net: Any, folder: Path) -> None:
    import jax

    leaves = jax.tree_util.tree_leaves(net.parameters)
    np.savez(folder / FILE, **{f"{number:05d}": np.asarray(leaf) for number, leaf in enumerate(leaves)})  # type: ignore[arg-type]


def load(net: Any, folder: Path) -> None:
    import jax

    leaves, structure = jax.tree_util.tree_flatten(net.parameters)
    check_archive(folder / FILE, len(leaves), sum(leaf.nbytes for leaf in leaves))
    found, expected = shapes_in(folder / FILE), [tuple(leaf.shape) for leaf in leaves]
    if found != expected:
        raise CheckpointError(f"The weights have the shapes {found}, but the network has {expected}.")
    with np.load(folder / FILE, allow_pickle=False) as archive:
        arrays = list(archive.values())
    net.parameters = jax.tree_util.tree_unflatten(structure, [jax.numpy.asarray(array) for array in arrays])


def evaluation(net: Any) -> Callable[[Any], Any]:
    return net  # type: ignore[no-any-return]
