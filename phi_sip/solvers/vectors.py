"""States as native matrices, one row per batch entry, which is how numerical methods see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from phiml import math
from phiml.backend import Backend
from phiml.math import Shape

from ..compilation.inputs import without_values
from ..compilation.keys import of_state
from ..states import order, trees
from ..states.scales import StateScales


@dataclass(frozen=True, eq=False)
class Vectors:
    """
    Packs states of one structure. Columns are in the canonical order of dims and components, see `order`, so that
    equal states have equal rows, however they are stored.

    Attributes:
        template: State that gives structure, geometry and dims; its values do not matter.
        entries: Batch dims of the rows; all that any state of the problem has.
        backend: Framework of the matrices.
        scales: Units of the values; default: those of the states.
    """

    template: Any
    entries: Shape
    backend: Backend
    scales: StateScales | None = None

    def pack(self, tree: Any) -> Any:
        """Returns the native matrix (entries, values) of a state like the template."""
        if self.scales is not None:
            tree = self.scales.relative(tree)
        parts = []
        for leaf, like in zip(trees.leaves(tree, self.template), trees.leaves(self.template), strict=True):
            whole = order.components_by_name(math.expand(math.convert(leaf, self.backend), self.entries))
            parts.append(self.backend.as_tensor(whole.native([self.entries, order.columns_of(like)])))
        return self.backend.concat(parts, 1) if len(parts) > 1 else parts[0]

    def unpack(self, values: Any) -> Any:
        """Returns the state of a native matrix."""
        leaves, start = [], 0
        for like in trees.leaves(self.template):
            columns = order.columns_of(like)
            stop = start + columns.volume
            flat = self.backend.reshape(values[:, start:stop], (-1, *columns.sizes))
            found = math.reshaped_tensor(flat, [self.entries, *columns], convert=False)
            leaves.append(order.in_order_of(found, like.shape))
            start = stop
        state = trees.with_leaves(self.template, leaves)
        return state if self.scales is None else self.scales.absolute(state)

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
