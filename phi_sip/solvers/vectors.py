"""States as native matrices, one row per batch entry, which is how numerical methods see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from phiml import math
from phiml.backend import Backend
from phiml.math import Shape

from .. import trees
from ..compilation.inputs import without_values
from ..compilation.keys import of_state


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

    def without_values(self) -> Vectors:
        """Returns what packs the same states, and keeps none of them in memory."""
        return replace(self, template=trees.tree_map(without_values, self.template))

    @property
    def signature(self) -> tuple[Any, ...]:
        """Equal for templates whose matrices mean the same."""
        return self.backend.name, of_state((math.zeros(self.entries), self.template))
