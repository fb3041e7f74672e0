"""White noise that is the same whenever it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from phiml import math
from phiml.math import Tensor

from ..states import order, trees


def white_noise(like: Any, seed: int) -> Any:
    """
    Returns white noise of variance 1: the same numbers for the same dims, however they are stored.

    Args:
        like: State whose dims and precision it has.
        seed: Of the numbers.
    """
    generator = np.random.default_rng(seed)

    def drawn(leaf: Tensor) -> Tensor:
        dims = leaf.shape.only(order.canonical(leaf.shape), reorder=True)
        values = generator.standard_normal(dims.sizes).astype(f"float{trees.precision_of(leaf)}")
        return order.in_order_of(math.reshaped_tensor(values, [*dims], convert=False), leaf.shape)

    return trees.with_leaves(like, [drawn(leaf) for leaf in trees.leaves(like)])
