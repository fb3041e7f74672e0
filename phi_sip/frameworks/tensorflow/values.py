"""Arithmetic of gradients and losses of Keras, which may be sparse, complex, missing or integer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

SMALL = 2**14  # numbers, among which to look costs less than an operation in a graph


def add(a: Any, b: Any) -> Any:
    """Returns the sum of two gradients, which may be sparse or missing."""
    if a is None or b is None:
        return b if a is None else a
    return tf.convert_to_tensor(a) + tf.convert_to_tensor(b)


def finite(value: Any) -> Any:
    """Tells element by element whether a tensor is finite."""
    if value.dtype.is_complex:
        return tf.math.is_finite(tf.math.real(value)) & tf.math.is_finite(tf.math.imag(value))
    return tf.math.is_finite(value)


def all_finite(values: Sequence[Any]) -> Any:
    """Tells whether all tensors are finite. Small ones are looked at together, as a network has hundreds of them."""
    return tf.reduce_all([tf.reduce_all(finite(value)) for value in joined(values)])


def joined(values: Sequence[Any]) -> list[Any]:
    """Returns the tensors, those that are small as one vector for each type. Sparse ones are what they hold."""
    dense = [value.values if isinstance(value, tf.IndexedSlices) else value for value in values]
    large = [value for value in dense if not _is_small(value)]
    vectors: dict[Any, list[Any]] = {}
    for value in filter(_is_small, dense):
        vectors.setdefault(value.dtype, []).append(tf.reshape(value, [-1]))
    return [*large, *(tf.concat(parts, 0) for parts in vectors.values())]


def _is_small(value: Any) -> bool:
    size = value.shape.num_elements()
    return size is not None and size <= SMALL


def sum_of(loss: Any) -> Any:
    """Sums a loss that a layer adds, as Keras' `fit` does."""
    loss = tf.convert_to_tensor(loss)
    return tf.reduce_sum(loss if loss.dtype.is_floating else tf.cast(loss, tf.float32))
