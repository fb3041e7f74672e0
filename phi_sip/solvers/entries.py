"""The physics of single batch entries, where parameters differ between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Shape

from ..compilation.inputs import batch_of, part_of
from ..compilation.objects import attributes_of
from ..contract.physics import InvertiblePhysics
from ..inversion.rules import RULE
from ..regularization import Regularization


def physics_of_entries(physics: InvertiblePhysics, entries: Shape) -> Iterator[tuple[InvertiblePhysics, np.ndarray]]:
    """
    Yields each physics that a batch has, without batch dims, and the places of the entries that it belongs to, counted
    along all batch dims. Another σ makes no other physics.

    Args:
        physics: Process. What its functions hold is not seen.
        entries: Batch dims.
    """
    dims = entries.only(batch_of(without_noise(physics)))
    if not dims:
        yield physics, np.arange(entries.volume)
        return
    index = dict(zip(entries.names, np.indices(entries.sizes).reshape(entries.rank, -1), strict=True))
    for place in dims.meshgrid():
        with math.precision(64):  # of numbers that become tensors
            own = part_of(physics, place)
        yield own, np.flatnonzero(np.all([index[name] == at for name, at in place.items()], 0))


def without_noise(item: Any) -> Any:
    """
    Returns what physics consists of but σ and rules, on which no simulation depends. σ may differ in each batch.
    """
    if isinstance(item, tuple):
        return tuple(map(without_noise, item))
    if not isinstance(item, InvertiblePhysics):
        return item
    found = attributes_of(item)
    rules = {name for name, value in found.items() if isinstance(value, Regularization)}
    rules |= {RULE} if found.get(RULE, item) is None else set()
    return type(item), {name: without_noise(found[name]) for name in found if name != "noise_std" and name not in rules}
