"""A Keras optimizer: its variables, its scale of the loss, and its step."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

from ...compilation import keys
from ...errors import NetworkOutputError, UnsupportedError
from ...text.printable import sentence
from . import real_views

Apply = Callable[[list[Any]], None]

_compiled: WeakKeyDictionary[Any, tuple[Hashable, Apply]] = WeakKeyDictionary()


class KerasOptimizer:
    """
    A Keras optimizer, for one network.

    Args:
        optimizer: As the user has given it.
        net: Network that it trains.

    Raises:
        UnsupportedError: if it is no Keras optimizer.
    """

    def __init__(self, optimizer: Any, net: Any) -> None:
        if not hasattr(optimizer, "apply_gradients") or callable(getattr(optimizer, "variables", None)):
            raise UnsupportedError(
                f"The optimizer of a TensorFlow network must be a Keras optimizer, not "
                f"{type(optimizer).__module__}.{type(optimizer).__qualname__}. Create it with phi.tf.flow.adam(net) or "
                f"keras.optimizers."
            )
        self._optimizer, self._net = optimizer, net

    @property
    def lowers_scale(self) -> bool:
        """Whether it deals with gradients that overflow by its scale of the loss, which it has once it is built."""
        return hasattr(self._optimizer, "dynamic_scale")

    def variables(self) -> list[Any]:
        """Returns its state, and what it was built for: it may know weights of other networks, and change them."""
        optimizer = self._optimizer
        inner = getattr(optimizer, "inner_optimizer", None)
        known = [*getattr(optimizer, "_trainable_variables", []), *getattr(inner, "_trainable_variables", [])]
        return [*optimizer.variables, *known]

    def scale_variables(self) -> list[Any]:
        """Returns the variables of its scale of the loss."""
        return [self._optimizer.dynamic_scale, self._optimizer.step_counter] if self.lowers_scale else []

    def scale(self) -> Any:
        """Returns the factor by which it multiplies the loss, and will divide the gradients."""
        one = tf.ones(())
        return self._optimizer.scale_loss(one) if hasattr(self._optimizer, "scale_loss") else one

    def prepare(self) -> None:
        """
        Builds it for the weights of the network, or checks that it was built for them.

        Raises:
            NetworkOutputError: if the network has no weights to train.
            UnsupportedError: if it was built for others.
        """
        if not self._net.trainable_variables:
            raise NetworkOutputError(
                f"The network {type(self._net).__name__} has no trainable variables, so nothing can be learned. Set "
                f"trainable = True for the layers to train."
            )
        trained = real_views.trained_by(self._optimizer, self._net.trainable_variables)
        if not getattr(self._optimizer, "built", True):
            self._optimizer.build(trained)
        elif hasattr(self._optimizer, "_check_variables_are_known"):
            try:
                self._optimizer._check_variables_are_known(trained)
            except ValueError as error:
                raise self._refused(error) from error

    def step(self, gradients: list[Any]) -> None:
        """
        Changes the weights of the network, of which complex ones by their real and imaginary parts.

        Args:
            gradients: One per trainable variable; `None` leaves it as it is.

        Raises:
            UnsupportedError: if the optimizer refuses the variables.
        """
        variables = list(self._net.trainable_variables)
        trained = real_views.trained_by(self._optimizer, variables)
        views = [(v, view) for v, view in zip(variables, trained, strict=True) if view is not v]
        for variable, view in views:
            view.assign(real_views.as_real(variable))
        pairs = [
            (real_views.as_real(gradient), variable)
            for gradient, variable in zip(gradients, trained, strict=True)
            if gradient is not None
        ]
        try:
            if tf.executing_eagerly():
                _compiled_apply(self._optimizer, [v for _, v in pairs])([g for g, _ in pairs])
            else:
                self._optimizer.apply_gradients(pairs)
        except ValueError as error:
            raise self._refused(error) from error
        for variable, view in views:
            real_views.assign_to(variable, view)

    def _refused(self, error: ValueError) -> UnsupportedError:
        if any(real_views.is_complex(variable) for variable in self._net.trainable_variables):
            return UnsupportedError(
                f"The Keras optimizer refused variables: {sentence(error)} The network has complex ones, of which it "
                f"trains the real and imaginary parts: give an optimizer that has not been built or used, one for each "
                f"network."
            )
        return UnsupportedError(
            f"The Keras optimizer refused the variables of this network: {sentence(error)} Most likely it was built "
            f"for another one, or when other layers were trainable. Create an optimizer for each network, anew when "
            f"layers are unfrozen."
        )


def _compiled_apply(optimizer: Any, variables: list[Any]) -> Apply:
    """Returns `optimizer.apply_gradients` on `variables` as one graph; eagerly it goes variable by variable."""
    key = keys.of_value((optimizer, variables))
    known, apply = _compiled.get(optimizer, (None, None))
    if apply is None or known != key:
        apply = _trace_apply(weakref.ref(optimizer), variables)
        _compiled[optimizer] = key, apply
    return apply


def _trace_apply(optimizer: Callable[[], Any], variables: list[Any]) -> Apply:
    """Takes a weak reference: the graph must not keep the optimizer alive, which is its key in the cache."""

    def apply(gradients: list[Any]) -> None:
        optimizer().apply_gradients(list(zip(gradients, variables, strict=True)))

    compiled: Apply = tf.function(apply, autograph=False)
    return compiled
