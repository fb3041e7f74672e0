"""Random numbers of the host, the same for all frameworks."""

from __future__ import annotations

import numpy as np
from phiml import math
from phiml.math import Shape, Tensor


def seeded_generator() -> np.random.Generator:
    """Returns a generator that NumPy's global random numbers seed, as `math.seed` sets and checkpoints keep them."""
    return np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002


def standard_normal(shape: Shape, precision: int, generator: np.random.Generator) -> Tensor:
    """
    Draws independent standard normal numbers.

    Args:
        shape: Dims of the tensor, in the order in which they are drawn.
        precision: Bits of the numbers.
        generator: Where they come from.
    """
    values = generator.standard_normal(shape.sizes, np.float64 if precision == 64 else np.float32)
    return math.reshaped_tensor(values, [*shape], convert=False)
