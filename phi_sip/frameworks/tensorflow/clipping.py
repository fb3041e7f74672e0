"""Gradients of Keras networks, shortened to a norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from .real_views import as_real


def clipped(gradients: Sequence[Any], norm: Any, reduce: Callable[[Any], Any] | None) -> list[Any]:
    """
    Returns the gradient g of all variables together, which may be sparse, complex or missing, as g · min(1, c / ‖g‖).

    The norm is computed of g / max |g|, as squares of large gradients would overflow.

    Args:
        gradients: One for each variable.
        norm: c.
        reduce: Sums a tensor over all replicas, of whose sum the norm is meant; `None` if there is but one.
    """
    whole = [as_real(tf.convert_to_tensor(gradient)) for gradient in gradients if gradient is not None]
    whole = whole if reduce is None else [reduce(gradient) for gradient in whole]
    dtype = tf.float64 if any(gradient.dtype == tf.float64 for gradient in whole) else tf.float32
    sizes = [tf.abs(tf.cast(gradient, dtype)) for gradient in whole]
    largest = tf.reduce_max(tf.stack([tf.reduce_max(size) for size in sizes]))
    unit = tf.where(largest > 0, largest, tf.ones_like(largest))
    length = tf.sqrt(tf.add_n([tf.reduce_sum((size / unit) ** 2) for size in sizes]))
    norm = tf.cast(norm, dtype)
    is_longer = length > norm / unit

    def shortened(values: Any) -> Any:
        unit_of_it, factor = tf.cast(unit, values.dtype), tf.cast(norm / length, values.dtype)
        return tf.where(is_longer, values / unit_of_it * factor, values)

    return [_with_values(gradient, shortened) for gradient in gradients]


def _with_values(gradient: Any, function: Callable[[Any], Any]) -> Any:
    """Returns a gradient with other values; what is sparse stays so."""
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(function(gradient.values), gradient.indices, gradient.dense_shape)
    return function(tf.convert_to_tensor(gradient))
