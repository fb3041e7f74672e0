"""Updates of PhiML's JAX networks, by optax or PhiML's own optimizers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
from jax import numpy as jnp
from jax.tree_util import tree_leaves, tree_map, tree_structure, tree_unflatten
from phi.jax import JAX
from phiml.backend.jax.stax_nets import JaxOptimizer

from ...compilation import keys
from ...compilation.identity import identities
from ...contract.trainable import (
    CACHE,
    CompiledStep,
    CompilingTrainable,
    Objective,
    Predict,
    PullBack,
    PullBackRows,
    Step,
)
from ...contract.update import UpdateRequest
from ...errors import ParameterError, SipError, UnsupportedError
from ...states import trees
from ...text.printable import sentence
from .call import call_stax
from .clipping import clipped
from .operations import vmap
from .optax import OptaxOptimizer
from .phiml_optimizer import PhiMLOptimizer


class JaxTrainable(CompilingTrainable):
    """A network of `phiml.nn` on JAX, with an `OptaxOptimizer` or an optimizer of `phiml.nn`."""

    def __init__(self, net: Any, optimizer: Any, training: bool | None = None, is_traced: bool = False) -> None:
        if training is not None:
            raise ParameterError("training=... is for Keras networks. The JAX networks of phiml.nn have no such mode.")
        if net.parameters is None:
            raise ParameterError(
                "The JAX network has no parameters: PhiML gives it none when it is created at 64-bit precision. "
                "Create it within `with math.precision(32):`."
            )
        _check_processes_run_one_program(jax.process_count())
        self._is_traced = is_traced
        self._stepper: Any = optimizer
        if isinstance(optimizer, JaxOptimizer):
            self._stepper = PhiMLOptimizer(optimizer)
        elif not isinstance(optimizer, OptaxOptimizer):
            raise UnsupportedError(
                f"The optimizer of a JAX network must be an OptaxOptimizer or come from phiml.nn, not "
                f"{type(optimizer).__name__}. Wrap a transformation: OptaxOptimizer(net, optax.adam(1e-3))."
            )
        super().__init__(JAX, net, optimizer)
        self._saved: Any = None

    @property
    def is_traced(self) -> bool:
        return self._is_traced

    def check(self, request: UpdateRequest) -> None:
        if not all(leaf.available for leaf in trees.leaves(request.y_target)):
            raise UnsupportedError(
                "sip_update_weights was called inside of jax.jit or jax.grad, where the network cannot keep its new "
                "weights. Call it outside: it compiles itself."
            )

    def call(self, native: Any) -> Any:
        return call_stax(self.net, native)

    def prepare(self, predict: Predict) -> None:
        """Checks that the optimizer can train the variables, all of which are there from the start."""
        types = {leaf.dtype for leaf in tree_leaves(self.net.parameters)}
        if not all(jnp.issubdtype(dtype, jnp.inexact) for dtype in types):
            raise UnsupportedError(
                f"The parameters of the JAX network hold {', '.join(sorted(map(str, types)))}, but integers cannot be "
                f"trained. Keep them outside of net.parameters."
            )
        if isinstance(self._stepper, PhiMLOptimizer) and any(jnp.issubdtype(t, jnp.complexfloating) for t in types):
            raise UnsupportedError(
                "The JAX network has complex parameters, which the optimizers of phiml.nn cannot train. Use "
                "OptaxOptimizer(net, optax.contrib.split_real_and_imaginary(optax.adam(1e-3)))."
            )

    def save(self) -> None:
        self.gradients = []
        self._saved = self.variables

    def restore(self) -> None:
        self.variables = self._saved

    def restore_unless(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any:
        holds = jnp.stack([*flags, gradient_is_finite]).all()
        self.variables = tree_map(lambda new, old: jnp.where(holds, new, old), self.variables, self._saved)
        return holds

    @property
    def variables(self) -> Any:
        """Weights and optimizer state, as a tree."""
        return self.net.parameters, self._stepper.state

    @variables.setter
    def variables(self, tree: Any) -> None:
        self.net.parameters, self._stepper.state = tree

    def record(self, predict: Predict) -> tuple[Any, PullBack]:
        """
        Conjugates gradients: JAX's derivatives in complex parameters are conjugates of the direction of steepest
        ascent.
        """
        parameters = self.net.parameters
        made: list[Any] = []

        def run(current: Any) -> list[Any]:
            self.net.parameters = current
            try:
                made.append(predict())
            finally:
                self.net.parameters = parameters
            natives = trees.natives(made[-1])
            made.append(any(isinstance(native, jax.core.Tracer) for native in natives))
            return natives

        outputs, pull = jax.vjp(run, parameters)
        recorded, connected = made[-2:]
        x = trees.with_natives(recorded, outputs)

        def pull_back(cotangent: Any, share: float) -> None:
            (tree,) = pull(trees.natives(cotangent, like=x))
            self.add_gradients([leaf.conj() if connected else None for leaf in tree_leaves(tree)])

        return x, pull_back

    def record_rows(self, compute: Callable[[], Any]) -> tuple[Any, PullBackRows]:
        parameters = self.net.parameters
        if any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in tree_leaves(parameters)):
            raise UnsupportedError(
                "The network has complex parameters, of which no real Jacobian is known. Nothing was changed. Train by "
                "another rule, or keep real and imaginary parts as two parameters."
            )
        connected = False

        def run(current: Any) -> Any:
            nonlocal connected
            self.net.parameters = current
            try:
                output = compute()
            finally:
                self.net.parameters = parameters
            connected = isinstance(output, jax.core.Tracer)
            return output

        output, pull = jax.vjp(run, parameters)

        def pull_back(cotangents: Any) -> list[Any]:
            if not connected:
                return [None for _ in tree_leaves(parameters)]
            return vmap(lambda cotangent: tree_leaves(pull(cotangent)), cotangents)

        return output, pull_back

    @property
    def weights(self) -> list[Any]:
        return list(tree_leaves(self.net.parameters))

    def add_gradients(self, gradients: Sequence[Any]) -> None:
        before = self.gradients or [None] * len(gradients)
        self.gradients = [b if a is None else a if b is None else a + b for a, b in zip(gradients, before, strict=True)]

    def after(self, values: list[Any], done: list[Any]) -> list[Any]:
        return list(jax.lax.optimization_barrier((values, done))[0])

    def clip_gradients(self, norm: float) -> None:
        self.gradients = clipped(self.gradients, norm)

    def apply(self, objectives: Sequence[Objective]) -> None:
        tree = tree_unflatten(tree_structure(self.net.parameters), self.gradients)
        about: dict[str, Any] = {}
        if objectives:
            about["value"] = self._real(sum(objective.value.native() for objective in objectives))
            about["value_fn"] = lambda parameters: self._value(objectives, parameters)
        try:
            self.net.parameters = self._stepper.step(tree, self.net.parameters, **about)
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
        """Evaluates the loss as a function of the weights, as line searches need it."""
        before = self.net.parameters
        self.net.parameters = parameters
        try:
            return self._real(sum(objective.loss(objective.predict())[0].native() for objective in objectives))
        finally:
            self.net.parameters = before

    def _real(self, value: Any) -> Any:
        """Returns a value in the type that optax gives values."""
        first = tree_leaves(self.net.parameters)[0]
        return jnp.asarray(value, first.real.dtype)

    def is_finite(self, values: Sequence[Any]) -> Any:
        return jnp.stack([jnp.isfinite(value).all() for value in values if value is not None]).all()

    def is_state_finite(self) -> Any:
        jnp, leaves = jax.numpy, tree_leaves
        pairs = zip(leaves(self.variables), tree_leaves(self._saved), strict=True)
        inexact = [(a, b) for a, b in pairs if hasattr(a, "dtype") and jnp.issubdtype(a.dtype, jnp.inexact)]
        return jnp.stack([(jnp.isfinite(new) | ~jnp.isfinite(old)).all() for new, old in inexact]).all()

    def signature(self) -> Hashable:
        state = ("parameters", "_tracers", "state", "_state", "_step_i", "_update_function_cache", CACHE)
        about = [{n: v for n, v in vars(item).items() if n not in state} for item in (self.net, self.optimizer)]
        return identities.number(self.net), keys.of_value(about)

    def compile(self, step: Step) -> CompiledStep:
        """Weights and optimizer state go in and out; the function keeps neither network nor optimizer alive."""
        net, optimizer = weakref.ref(self.net), weakref.ref(self.optimizer)

        @jax.jit  # type: ignore[untyped-decorator]
        def run(variables: Any, natives: list[Any]) -> tuple[Any, Any, list[Any]]:
            trainer = JaxTrainable(net(), optimizer(), is_traced=True)
            before = trainer.variables
            try:
                trainer.variables = variables
                applied, results = step(trainer, natives)
                return trainer.variables, applied, results
            finally:
                trainer.variables = before

        def update(natives: list[Any]) -> tuple[Any, list[Any]]:
            trainer = JaxTrainable(net(), optimizer())
            trainer.variables, applied, results = run(_where_data_are(trainer.variables, natives), natives)
            return applied, results

        return update


def _where_data_are(variables: Any, natives: list[Any]) -> Any:
    """
    Returns the variables, committed to the one device to which data are committed. What a compiled function returns is
    committed if one of its arguments is, and JAX compiles anew for arguments that are.
    """
    places = {array.sharding for array in natives if isinstance(array, jax.Array) and array.committed}
    if len(places) != 1 or len(next(iter(places)).device_set) != 1:
        return variables
    (place,) = places
    return tree_map(lambda v: v if isinstance(v, jax.Array) and v.committed else jax.device_put(v, place), variables)


def _check_processes_run_one_program(processes: int) -> None:
    """Refuses random hashes: PhiML orders dims by sets, so what is compiled depends on how Python hashes."""
    if processes > 1 and os.environ.get("PYTHONHASHSEED", "random") == "random":
        raise UnsupportedError(
            f"JAX runs {processes} processes, which must compile the same program, but the order of dims depends on "
            f"Python's random hashes. Start all processes with the same PYTHONHASHSEED, e.g. PYTHONHASHSEED=0."
        )
