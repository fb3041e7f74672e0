"""States as native matrices, one row per batch entry, which is how numerical methods see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from phi.field import Field
from phiml import math
from phiml.backend import Backend
from phiml.math import Shape

from .. import trees


@dataclass(frozen=True, eq=False)
class Vectors:
    """
    Packs states of one structure.

    Attributes:
        template: State that gives structure, geometry and dims; its values do not matter.
        entries: Batch dims of the rows; all that any state of the problem has.
        backend: Framework of the matrices.
    """

    template: Any
    entries: Shape
    backend: Backend

    def pack(self, tree: Any) -> Any:
        """Native matrix (entries, values) of a state like the template."""
        parts = []
        for leaf, like in zip(trees.leaves(tree, self.template), trees.leaves(self.template), strict=True):
            whole = math.expand(math.convert(leaf, self.backend), self.entries)
            parts.append(self.backend.as_tensor(whole.native([self.entries, like.shape.non_batch])))
        return self.backend.concat(parts, 1) if len(parts) > 1 else parts[0]

    def unpack(self, values: Any) -> Any:
        """State of a native matrix."""
        leaves, start = [], 0
        for like in trees.leaves(self.template):
            stop = start + like.shape.non_batch.volume
            groups = [self.entries, *like.shape.non_batch]
            flat = self.backend.reshape(values[:, start:stop], (-1, *like.shape.non_batch.sizes))
            leaves.append(math.reshaped_tensor(flat, groups, convert=False))
            start = stop
        return trees.with_leaves(self.template, leaves)

    @property
    def size(self) -> int:
        """Number of values per row."""
        return sum(leaf.shape.non_batch.volume for leaf in trees.leaves(self.template))

    @property
    def signature(self) -> tuple[Any, ...]:
        """Equal for templates whose matrices mean the same."""
        return (self.backend.name, repr(self.entries), *_signature(self.template))


def _signature(tree: Any) -> Sequence[Any]:
    if isinstance(tree, Field):
        corners = (tree.bounds.lower, tree.bounds.upper) if tree.is_grid else ()
        known = corners and all(corner.available and not corner.shape.batch for corner in corners)
        where = tuple(tuple(corner.numpy("vector")) for corner in corners) if known else id(tree.geometry)
        return (*_signature(tree.values), repr(tree.boundary), where)
    if isinstance(tree, (tuple, list)):
        return (type(tree), *(_signature(item) for item in tree))
    if isinstance(tree, dict):
        return tuple((key, _signature(item)) for key, item in tree.items())
    return tuple((leaf.shape, repr(leaf.shape.item_names), leaf.dtype) for leaf in trees.leaves(tree))
