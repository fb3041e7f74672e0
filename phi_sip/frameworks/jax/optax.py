"""An optax transformation together with its state, for networks that keep their own weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol

from ...errors import UnsupportedError


class GradientTransformation(Protocol):
    """The interface of `optax.GradientTransformation`."""

    init: Any
    update: Any


class OptaxOptimizer:
    """
    An [optax](https://optax.readthedocs.io) optimizer for a network of `phiml.nn` on JAX.

    Args:
        net: Network, whose weights give the state its structure.
        transformation: E.g. `optax.adam(1e-3)`, or any chain with schedules, clipping and weight decay.

    Attributes:
        state: Optimizer state; can be saved and assigned.

    Example:
        >>> optimizer = OptaxOptimizer(net, optax.adam(1e-3))
        >>> sip_update_weights(net, optimizer, physics, y_target)
    """

    def __init__(self, net: Any, transformation: GradientTransformation) -> None:
        self.transformation = transformation
        self.state = transformation.init(net.parameters)

    def step(
        self, gradients: Any, parameters: Any, *, value: Any = None, value_fn: Callable[..., Any] | None = None
    ) -> Any:
        """
        New weights from ∂L/∂θ and the current weights, both as trees.

        Args:
            gradients: ∂L/∂θ; the direction of steepest ascent where weights are complex.
            parameters: Current weights.
            value: L, for transformations that look at it, as `optax.contrib.reduce_on_plateau`.
            value_fn: L as a function of the weights, for line searches, as that of `optax.lbfgs`.

        Raises:
            UnsupportedError: if the transformation returns changes of other shapes than those of the weights.
        """
        import jax
        import optax

        known = {"value": value, "value_fn": value_fn, "grad": gradients}
        accepted = inspect.signature(self.transformation.update).parameters
        any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
        given = known if any_name else {name: known[name] for name in known if name in accepted}
        if value_fn is not None and "grad_fn" in accepted:
            given["grad_fn"] = lambda at, *_: jax.tree_util.tree_map(lambda g: g.conj(), jax.grad(value_fn)(at))
        changes, state = self.transformation.update(gradients, self.state, parameters, **given)
        _check_shapes(jax.tree_util.tree_leaves(changes), jax.tree_util.tree_leaves(parameters))
        self.state = state
        return optax.apply_updates(parameters, changes)


def _check_shapes(changes: list[Any], parameters: list[Any]) -> None:
    found, expected = ([tuple(leaf.shape) for leaf in leaves] for leaves in (changes, parameters))
    if found != expected:
        raise UnsupportedError(
            f"The optax transformation returned changes of the shapes {found} for parameters of {expected}. Most "
            f"likely it expects one gradient per sample, but the loss is that of the whole batch. Leave it out."
        )
