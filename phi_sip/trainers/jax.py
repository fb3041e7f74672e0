"""Updates of PhiML's JAX networks, with optax or PhiML's own optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import trees
from ..errors import ParameterError, UnsupportedError
from ..hookspecs import hookimpl
from ..update import SipUpdate, update
from .base import Recompute, Trainer, defined_in
from .optax import OptaxOptimizer

if TYPE_CHECKING:
    from phiml.backend import Backend


class JaxTrainer(Trainer):
    """A network of `phiml.nn` on JAX, with an `OptaxOptimizer` or an optimizer of `phiml.nn`."""

    def __init__(self, net: Any, optimizer: Any) -> None:
        import jax
        from phi.jax import JAX
        from phiml.backend.jax.stax_nets import JaxOptimizer

        if net.parameters is None:
            raise ParameterError(
                "The JAX network has no parameters: PhiML gives it none when it is created at 64-bit precision. "
                "Create it within `with math.precision(32):`."
            )
        self.jax = jax
        self.backend: Backend = JAX
        self.net = net
        if isinstance(optimizer, JaxOptimizer):
            optimizer = _PhiMLOptimizer(optimizer)
        elif not isinstance(optimizer, OptaxOptimizer):
            raise UnsupportedError(
                f"The optimizer of a JAX network must be an OptaxOptimizer or come from phiml.nn, not "
                f"{type(optimizer).__name__}. Wrap a transformation: OptaxOptimizer(net, optax.adam(1e-3))."
            )
        self.optimizer = optimizer

    def call(self, native: Any) -> Any:
        return self.net(native)

    def save(self) -> None:
        self.saved = self.net.parameters, self.optimizer.state

    def restore(self) -> None:
        self.net.parameters, self.optimizer.state = self.saved

    def record(self, predict: Recompute) -> Any:
        parameters = self.net.parameters

        def run(current: Any) -> list[Any]:
            self.net.parameters = current
            try:
                self.x = predict()
            finally:
                self.net.parameters = parameters
            natives = trees.natives(self.x)
            self.connected = any(isinstance(native, self.jax.core.Tracer) for native in natives)
            return natives

        outputs, self.pull_back = self.jax.vjp(run, parameters)
        self.x = trees.with_natives(self.x, outputs)
        return self.x

    def gradients(self, cotangent: Any) -> list[Any]:
        (tree,) = self.pull_back(trees.natives(cotangent, like=self.x))
        leaves, self.structure = self.jax.tree_util.tree_flatten(tree)
        return list(leaves) if self.connected else [None] * len(leaves)

    def apply(self, gradients: list[Any], loss: Callable[[Any], tuple[Any, Any]], predict: Recompute) -> None:
        tree = self.jax.tree_util.tree_unflatten(self.structure, gradients)
        self.net.parameters = self.optimizer.step(tree, self.net.parameters)

    def is_finite(self, values: list[Any]) -> bool:
        return all(bool(self.jax.numpy.isfinite(value).all()) for value in values if value is not None)

    def state(self) -> list[Any]:
        leaves = self.jax.tree_util.tree_leaves((self.net.parameters, self.optimizer.state))
        arrays = [leaf for leaf in leaves if hasattr(leaf, "dtype")]
        return [leaf for leaf in arrays if self.jax.numpy.issubdtype(leaf.dtype, self.jax.numpy.floating)]


class _PhiMLOptimizer:
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

    def step(self, gradients: Any, parameters: Any) -> Any:
        self._adopt(parameters)
        self.optimizer.update_step(gradients)
        return self.optimizer.get_network_parameters()

    def _adopt(self, parameters: Any) -> None:
        """Takes over weights that were changed since the last step; the optimizer holds its own copy of them."""
        from jax.tree_util import tree_leaves

        state = self.optimizer._state
        packed = [(w, *slots[1:]) for w, slots in zip(tree_leaves(parameters), state.packed_state, strict=True)]
        self.optimizer._state = state._replace(packed_state=packed)


@hookimpl
def sip_update_weights(
    net: Any,
    optimizer: Any,
    physics: Any,
    y_target: Any,
    predict: Any,
    step_size: Any,
    solver: Any,
    x_true: Any,
    training: bool | None,
) -> SipUpdate | None:
    if not (defined_in(net, "phiml.backend.jax") and hasattr(net, "parameters") and callable(net)):
        return None
    if training is not None:
        raise ParameterError("training=... is for Keras networks. The JAX networks of phiml.nn have no such mode.")
    return update(JaxTrainer(net, optimizer), physics, y_target, predict, step_size, solver, x_true)
