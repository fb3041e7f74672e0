"""Complex variables of TensorFlow as pairs of real numbers, which is what Keras optimizers compute with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

_views: WeakKeyDictionary[Any, dict[int, tuple[Any, tf.Variable]]] = WeakKeyDictionary()


def trained_by(optimizer: Any, variables: Sequence[Any]) -> list[Any]:
    """
    Returns what `optimizer` trains in place of these variables: real ones are themselves, complex ones have a view of
    the shape (…, 2), the same for every call.
    """
    known = _views.setdefault(optimizer, {})
    for variable in variables:
        if is_complex(variable) and id(variable) not in known:
            with tf.init_scope():
                known[id(variable)] = variable, tf.Variable(as_real(variable), name="real_and_imaginary_part")
    return [known[id(variable)][1] if is_complex(variable) else variable for variable in variables]


def is_complex(value: Any) -> bool:
    """Tells whether a tensor or variable, that of Keras too, holds complex numbers."""
    return bool(tf.as_dtype(value.dtype).is_complex)


def as_real(value: Any) -> Any:
    """Returns real and imaginary parts along a new last axis; what is real, or `None`, as it is."""
    if value is None or not is_complex(value):
        return value
    tensor = tf.convert_to_tensor(value)
    return tf.stack([tf.math.real(tensor), tf.math.imag(tensor)], -1)


def assign_to(variable: Any, view: Any) -> None:
    """Gives a complex variable what its view holds now, and imposes its constraint, as Keras does after a step."""
    variable.assign(tf.complex(view[..., 0], view[..., 1]))
    if getattr(variable, "constraint", None) is not None:
        variable.assign(variable.constraint(variable))
