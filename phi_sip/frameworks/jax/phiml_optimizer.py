"""The optimizers of `phiml.nn` on JAX."""

from __future__ import annotations

from typing import Any

from jax.tree_util import tree_leaves


class PhiMLOptimizer:
    """
    An optimizer of `phiml.nn` on JAX, stepped with a counter that advances.

    PhiML's own `update_weights` leaves the counter at 0, so that Adam's bias correction stays that of its first step.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    @property
    def state(self) -> Any:
        return self.optimizer._state, self.optimizer._step_i

    @state.setter
    def state(self, value: Any) -> None:
        self.optimizer._state, self.optimizer._step_i = value

    def step(self, gradients: Any, parameters: Any, **about_the_loss: Any) -> Any:
        self._adopt(parameters)
        self.optimizer.update_step(gradients)
        return self.optimizer.get_network_parameters()

    def _adopt(self, parameters: Any) -> None:
        """Takes over weights that were changed since the last step; the optimizer holds its own copy of them."""
        state = self.optimizer._state
        packed = [(w, *slots[1:]) for w, slots in zip(tree_leaves(parameters), state.packed_state, strict=True)]
        self.optimizer._state = state._replace(packed_state=packed)
