"""The variables of Keras networks: which there are, copies of them, and those that are made late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

import tensorflow as tf

from ...compilation.code import class_is_library

Values = list[tuple[Any, Any]]

_complete: WeakValueDictionary[int, Any] = WeakValueDictionary()  # networks that have made all their variables, by id


def variables_of_network(net: Any) -> list[Any]:
    """Returns weights, batch statistics, seeds, and what the metrics of a network count."""
    return [*net.variables, *getattr(net, "metrics_variables", [])]


def copies(variables: list[Any]) -> Values:
    """Returns each variable with a copy of its value."""
    unique = {id(variable): variable for variable in variables}
    return [(variable, tf.identity(variable)) for variable in unique.values()]


def put_back(values: Values) -> None:
    """Gives variables the values that were copied; what was made in a graph has none."""
    for variable, value in values:
        if value is not None:
            variable.assign(value)


def has_made_all(net: Any) -> bool:
    """Tells whether a network has made all its variables: it has been called, or Keras' own layers say so."""
    if _complete.get(id(net)) is net:
        return True
    layers = list(net._flatten_layers()) if hasattr(net, "_flatten_layers") else []
    return bool(layers) and all(layer.built and class_is_library(type(layer)) for layer in layers)


def make_all(net: Any, predict: Callable[[], Any]) -> None:
    """
    Calls a network for the variables that it makes, and undoes what the call changes.

    Args:
        net: Network.
        predict: Calls it once.
    """
    made: Values = []
    eager = tf.executing_eagerly()

    def note(create: Callable[..., Any], **options: Any) -> Any:
        variable = create(**options)
        made.append((variable, tf.identity(variable) if tf.executing_eagerly() else None))
        return variable

    known = copies(variables_of_network(net)) if eager else []
    try:
        with tf.variable_creator_scope(note):
            predict()
    finally:
        put_back([*known, *made])
        clear_losses(net)
    if eager:
        _complete[id(net)] = net


def clear_losses(net: Any) -> None:
    """Forgets the losses that layers have added in earlier calls."""
    getattr(net, "_clear_losses", lambda: None)()
