"""An optax transformation together with its state, for networks that keep their own weights."""

from __future__ import annotations

from typing import Any, Protocol


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

    def step(self, gradients: Any, parameters: Any) -> Any:
        """New weights from ∂L/∂θ and the current weights, both as trees."""
        import optax

        changes, self.state = self.transformation.update(gradients, self.state, parameters)
        return optax.apply_updates(parameters, changes)
