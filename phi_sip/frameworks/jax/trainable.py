"""Updates of PhiML's JAX networks, with optax or PhiML's own optimizers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from phiml import math

from ...compilation import keys
from ...compilation.identity import identities
from ...compilation.updates import ATTRIBUTE
from ...contract.hookspecs import hookimpl
from ...contract.trainable import CompilingTrainer, Objective, Predict, Step, defined_in
from ...errors import ParameterError, SipError, UnsupportedError
from ...states import trees
from ...step.compiled import compiled_update
from ...step.update import SipUpdate, UpdateRequest
from ...text.printable import sentence
from .optax import OptaxOptimizer

if TYPE_CHECKING:
    from phiml.backend import Backend


class JaxTrainer(CompilingTrainer):
    """A network of `phiml.nn` on JAX, with an `OptaxOptimizer` or an optimizer of `phiml.nn`."""

    def __init__(self, net: Any, optimizer: Any, is_traced: bool = False) -> None:
        import jax
        from phi.jax import JAX
        from phiml.backend.jax.stax_nets import JaxOptimizer

        if net.parameters is None:
            raise ParameterError(
                "The JAX network has no parameters: PhiML gives it none when it is created at 64-bit precision. "
                "Create it within `with math.precision(32):`."
            )
        _check_processes_run_one_program(jax.process_count())
        self.jax = jax
        self.backend: Backend = JAX
        self.net, self.optimizer = net, optimizer
        self._is_traced = is_traced
        self.stepper: Any = optimizer
        if isinstance(optimizer, JaxOptimizer):
            self.stepper = _PhiMLOptimizer(optimizer)
        elif not isinstance(optimizer, OptaxOptimizer):
            raise UnsupportedError(
                f"The optimizer of a JAX network must be an OptaxOptimizer or come from phiml.nn, not "
                f"{type(optimizer).__name__}. Wrap a transformation: OptaxOptimizer(net, optax.adam(1e-3))."
            )

    @property
    def is_traced(self) -> bool:
        return self._is_traced

    def call(self, native: Any) -> Any:
        return call_stax(self.net, native)

    def prepare(self, request: UpdateRequest) -> None:
        """All variables are there from the start; whether the optimizer can train them is checked."""
        jnp = self.jax.numpy
        types = {leaf.dtype for leaf in self.jax.tree_util.tree_leaves(self.net.parameters)}
        if not all(jnp.issubdtype(dtype, jnp.inexact) for dtype in types):
            raise UnsupportedError(
                f"The parameters of the JAX network hold {', '.join(sorted(map(str, types)))}, but integers cannot be "
                f"trained. Keep them outside of net.parameters."
            )
        if isinstance(self.stepper, _PhiMLOptimizer) and any(jnp.issubdtype(t, jnp.complexfloating) for t in types):
            raise UnsupportedError(
                "The JAX network has complex parameters, which the optimizers of phiml.nn cannot train. Use "
                "OptaxOptimizer(net, optax.contrib.split_real_and_imaginary(optax.adam(1e-3)))."
            )

    def save(self) -> None:
        self.gradients: list[Any] = []
        self.saved = self.variables

    def restore(self) -> None:
        self.variables = self.saved

    def keep_if(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any:
        holds = self.jax.numpy.stack([*flags, gradient_is_finite]).all()
        self.variables = self.jax.tree_util.tree_map(
            lambda new, old: self.jax.numpy.where(holds, new, old), self.variables, self.saved
        )
        return holds

    @property
    def variables(self) -> Any:
        """Weights and optimizer state, as a tree."""
        return self.net.parameters, self.stepper.state

    @variables.setter
    def variables(self, tree: Any) -> None:
        self.net.parameters, self.stepper.state = tree

    def record(self, predict: Predict) -> Any:
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

    def accumulate(self, cotangent: Any, share: float) -> None:
        """JAX's derivatives in complex parameters are the conjugates of the direction of steepest ascent."""
        (tree,) = self.pull_back(trees.natives(cotangent, like=self.x))
        leaves, self.structure = self.jax.tree_util.tree_flatten(tree)
        before = self.gradients or [None] * len(leaves)
        if self.connected:
            leaves = [leaf.conj() for leaf in leaves]
            self.gradients = [a if b is None else a + b for a, b in zip(leaves, before, strict=True)]
        else:
            self.gradients = before

    def in_turn(self, values: list[Any]) -> list[Any]:
        done = [gradient for gradient in self.gradients if gradient is not None]
        return list(self.jax.lax.optimization_barrier((values, done))[0])

    def apply(self, objectives: Sequence[Objective]) -> None:
        tree = self.jax.tree_util.tree_unflatten(self.structure, self.gradients)
        value = self._real(sum(objective.value.native() for objective in objectives))
        try:
            self.net.parameters = self.stepper.step(
                tree, self.net.parameters, value=value, value_fn=lambda parameters: self._value(objectives, parameters)
            )
        except SipError:
            raise
        except Exception as error:
            if self.is_traced:  # it may work step by step
                raise
            raise UnsupportedError(
                f"The optimizer could not make its step and was undone: {type(error).__name__}: {sentence(error)} It "
                f"is given the gradients, the parameters, and value, grad, value_fn and grad_fn of the loss. Make it "
                f"for the parameters of this network, and of transformations that need no more."
            ) from error

    def _value(self, objectives: Sequence[Objective], parameters: Any) -> Any:
        """The loss as a function of the weights, as line searches need it."""
        before = self.net.parameters
        self.net.parameters = parameters
        try:
            return self._real(sum(objective.loss(objective.predict())[0].native() for objective in objectives))
        finally:
            self.net.parameters = before

    def _real(self, value: Any) -> Any:
        """In the type that optax gives values."""
        first = self.jax.tree_util.tree_leaves(self.net.parameters)[0]
        return self.jax.numpy.asarray(value, first.real.dtype)

    def is_finite(self, values: Sequence[Any]) -> Any:
        jnp = self.jax.numpy
        return jnp.stack([jnp.isfinite(value).all() for value in values if value is not None]).all()

    def is_state_finite(self) -> Any:
        jnp, leaves = self.jax.numpy, self.jax.tree_util.tree_leaves
        pairs = zip(leaves(self.variables), leaves(self.saved), strict=True)
        inexact = [(a, b) for a, b in pairs if hasattr(a, "dtype") and jnp.issubdtype(a.dtype, jnp.inexact)]
        return jnp.stack([(jnp.isfinite(new) | ~jnp.isfinite(old)).all() for new, old in inexact]).all()

    def signature(self) -> Hashable:
        state = ("parameters", "_tracers", "state", "_state", "_step_i", "_update_function_cache", ATTRIBUTE)
        about = [{n: v for n, v in vars(item).items() if n not in state} for item in (self.net, self.optimizer)]
        return identities.number(self.net), keys.of_value(about)

    def compile(self, step: Step) -> Callable[[list[Any]], tuple[Any, list[Any]]]:
        """Weights and optimizer state go in and out; the function keeps neither network nor optimizer alive."""
        net, optimizer = weakref.ref(self.net), weakref.ref(self.optimizer)

        @self.jax.jit  # type: ignore[untyped-decorator]
        def run(variables: Any, natives: list[Any]) -> tuple[Any, Any, list[Any]]:
            trainer = JaxTrainer(net(), optimizer(), is_traced=True)
            before = trainer.variables
            try:
                trainer.variables = variables
                applied, results = step(trainer, natives)
                return trainer.variables, applied, results
            finally:
                trainer.variables = before

        def update(natives: list[Any]) -> tuple[Any, list[Any]]:
            trainer = JaxTrainer(net(), optimizer())
            trainer.variables, applied, results = run(trainer.variables, natives)
            return applied, results

        return update


def call_stax(net: Any, native: Any) -> Any:
    """The network on an array, in the floating point type of its parameters."""
    import jax

    first = next(iter(jax.tree_util.tree_leaves(net.parameters)))
    with math.precision(64 if first.real.dtype == jax.numpy.float64 else 32):
        output = net(native.astype(first.real.dtype))
    is_real = hasattr(output, "dtype") and jax.numpy.issubdtype(output.dtype, jax.numpy.floating)
    return output.astype(native.dtype) if is_real else output


def _check_processes_run_one_program(processes: int) -> None:
    """PhiML orders dims by sets, so that what is compiled depends on how Python hashes."""
    if processes > 1 and os.environ.get("PYTHONHASHSEED", "random") == "random":
        raise UnsupportedError(
            f"JAX runs {processes} processes, which must compile the same program, but the order of dims depends on "
            f"Python's random hashes. Start all processes with the same PYTHONHASHSEED, e.g. PYTHONHASHSEED=0."
        )


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

    def step(self, gradients: Any, parameters: Any, **about_the_loss: Any) -> Any:
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
    compile: bool | None,
    micro_batches: int,
) -> SipUpdate | None:
    if not (defined_in(net, "phiml.backend.jax") and hasattr(net, "parameters") and callable(net)):
        return None
    if training is not None:
        raise ParameterError("training=... is for Keras networks. The JAX networks of phiml.nn have no such mode.")
    if not all(leaf.available for leaf in trees.leaves(y_target)):
        raise UnsupportedError(
            "sip_update_weights was called inside of jax.jit or jax.grad, where the network cannot keep its new "
            "weights. Call it outside: it compiles itself."
        )
    request = UpdateRequest(physics, y_target, predict, step_size, solver, x_true, micro_batches)
    return compiled_update(JaxTrainer(net, optimizer), request, compile)
