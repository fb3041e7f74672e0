"""Arithmetic of gradients and losses of Keras, which may be sparse, complex, missing or integer."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def add(a: Any, b: Any) -> Any:
    """Returns the sum of two gradients, which may be sparse or missing."""
    if a is None or b is None:
        return b if a is None else a
    return tf.convert_to_tensor(a) + tf.convert_to_tensor(b)


def finite(value: Any) -> Any:
    """Tells element by element whether a tensor is finite."""
    if isinstance(value, tf.IndexedSlices):
        value = value.values
    if value.dtype.is_complex:
        return tf.math.is_finite(tf.math.real(value)) & tf.math.is_finite(tf.math.imag(value))
    return tf.math.is_finite(value)


def sum_of(loss: Any) -> Any:
    """Sums a loss that a layer adds, as Keras' `fit` does."""
    loss = tf.convert_to_tensor(loss)
    return tf.reduce_sum(loss if loss.dtype.is_floating else tf.cast(loss, tf.float32))
