"""How a Keras network is called on a native tensor."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from phiml import math


def call_keras(net: Any, native: Any, options: dict[str, Any]) -> Any:
    """Evaluates the network on a tensor, in the floating point type of its weights."""
    dtype = _dtype_of(net)
    with math.precision(64 if dtype == tf.float64 else 32):
        output = net(tf.cast(native, dtype), **options)
    return tf.cast(output, native.dtype) if getattr(getattr(output, "dtype", None), "is_floating", False) else output


def _dtype_of(net: Any) -> Any:
    """Returns that of its first weight; single precision for integers and networks that have none."""
    variables = [*net.trainable_variables, *net.variables]
    found = [tf.as_dtype(v.dtype) for v in variables] or [tf.as_dtype(getattr(net, "variable_dtype", "float32"))]
    return next((dtype.real_dtype for dtype in found if dtype.is_floating or dtype.is_complex), tf.float32)
