"""The three frameworks as rows of a table: how a PhiFlow user makes networks and optimizers there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np
import optax
import phiml.nn
import torch
from phi.jax import JAX
from phi.tf import TENSORFLOW
from phi.torch import TORCH
from phiml import math
from phiml.backend import Backend

from phi_sip import OptaxOptimizer


@dataclass(frozen=True)
class Framework:
    name: str
    backend: Backend
    weights: Callable[[Any], list[np.ndarray]]

    def u_net(self, channels: int = 1, channels_out: int | None = None, in_spatial: int = 2, **options: Any) -> Any:
        """A small network, the same each time, with as many channels out as in unless it is told otherwise."""
        self.seed(0)
        options = {"levels": 1, "filters": 4, **options}
        with self.backend, math.precision(32):
            return phiml.nn.u_net(channels, channels_out or channels, in_spatial=in_spatial, **options)

    def adam(self, net: Any, learning_rate: float = 1e-3, epsilon: float = 1e-7) -> Any:
        if self.name == "jax":
            return OptaxOptimizer(net, optax.adam(learning_rate, eps=epsilon))
        with self.backend:
            return phiml.nn.adam(net, learning_rate, epsilon=epsilon)

    def sgd(self, net: Any, learning_rate: float = 1e-3) -> Any:
        if self.name == "jax":
            return OptaxOptimizer(net, optax.sgd(learning_rate))
        with self.backend:
            return phiml.nn.sgd(net, learning_rate)

    def seed(self, seed: int) -> None:
        self.backend.seed(seed)  # `math.seed` skips backends that have not been used yet
        keras.utils.set_random_seed(seed)

    def everything(self, net: Any, optimizer: Any) -> list[np.ndarray]:
        """Weights, batch statistics and optimizer state, as they are now."""
        if self.name == "tensorflow":
            return [v.numpy().copy() for v in (*net.variables, *optimizer.variables)]
        if self.name == "torch":
            state = [t for slot in optimizer.state.values() for t in slot.values() if torch.is_tensor(t)]
            return [t.detach().numpy().copy() for t in (*net.parameters(), *net.buffers(), *state)]
        leaves = jax.tree_util.tree_leaves((net.parameters, optimizer.state))
        return [np.array(leaf) for leaf in leaves]


TABLE = (
    Framework("tensorflow", TENSORFLOW, lambda net: [v.numpy().copy() for v in net.trainable_variables]),
    Framework("torch", TORCH, lambda net: [p.detach().numpy().copy() for p in net.parameters()]),
    Framework("jax", JAX, lambda net: [np.array(leaf) for leaf in jax.tree_util.tree_leaves(net.parameters)]),
)
