"""Physical parameters in arithmetic."""

from __future__ import annotations

import numpy as np
from phiml import math
from phiml.math import Tensor


def as_tensor(value: float | Tensor) -> Tensor:
    """
    Returns a parameter in the current precision.

    A number goes through a NumPy array: PhiML rounds a wrapped Python float to single precision where it is the right
    operand of a TensorFlow tensor.
    """
    return math.to_float(value if isinstance(value, Tensor) else math.wrap(np.array(value, dtype=np.float64)))
