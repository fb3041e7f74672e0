"""Updates of Keras networks by Keras optimizers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from phi.tf import TENSORFLOW

from ...compilation import keys
from ...compilation.identity import identities
from ...contract.trainable import CompiledStep, CompilingTrainable, Objective, Predict, PullBack, PullBackRows, Step
from ...errors import UnsupportedError
from ...states import trees
from .call import call_keras
from .clipping import clipped
from .keras_optimizer import KerasOptimizer
from .operations import vmap
from .replicas import Replicas, assign
from .values import add, all_finite, finite, joined, sum_of
from .variables import Values, clear_losses, copies, has_made_all, make_all, put_back, variables_of_network


class TensorFlowTrainable(CompilingTrainable):
    """
    A Keras model or other object with `trainable_variables`, and a Keras optimizer.

    The gradients are those of `optimizer.scale_loss(loss + Σ net.losses)`, as in Keras' `fit`.

    Args:
        net, optimizer, training: See `sip_update_weights`.
        is_repeated: Whether an update that was not made in a graph is made again step by step, so that nothing at all
            may be changed in the graph.
    """

    def __init__(self, net: Any, optimizer: Any, training: bool | None = None, is_repeated: bool = False) -> None:
        self._stepper = KerasOptimizer(optimizer, net)
        self._training, self._is_repeated = training, is_repeated
        self._scale: Any = 1.0
        self._saved: Values = []
        super().__init__(TENSORFLOW, net, optimizer, Replicas.here())

    @property
    def is_traced(self) -> bool:
        return not tf.executing_eagerly()

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Puts layers into inference mode, where the user has asked for another one."""
        training, self._training = self._training, None if self._training is None else False
        try:
            yield
        finally:
            self._training = training

    def call(self, native: Any) -> Any:
        return call_keras(self.net, native, {} if self._training is None else {"training": self._training})

    def prepare(self, predict: Predict) -> None:
        """Calls a network once that makes variables when it is called; they keep their initial values."""
        if not self.is_traced and not has_made_all(self.net):
            make_all(self.net, predict)
        elif self.is_traced and not getattr(self.net, "built", True):
            training, self._training = self._training, False  # what a graph makes has no value that could be put back
            try:
                make_all(self.net, predict)
            finally:
                self._training = training
        self._stepper.prepare()

    def save(self) -> None:
        self.gradients = []
        self._scale = self._stepper.scale()
        self._saved = copies([*variables_of_network(self.net), *self._stepper.variables()])

    def restore(self) -> None:
        put_back(self._saved)

    def restore_unless(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any:
        holds, applied = self._on_all(tf.reduce_all(flags)), self._on_all(gradient_is_finite)
        lowers = self._scale > 1 if self._stepper.lowers_scale and not self._is_repeated else False
        applied = applied & holds
        scales = {id(variable) for variable in self._stepper.scale_variables()}
        self._put_back_unless(applied, [(v, before) for v, before in self._saved if id(v) not in scales])
        self._put_back_unless(holds & (applied | lowers), [(v, before) for v, before in self._saved if id(v) in scales])
        return applied

    def _put_back_unless(self, flag: Any, saved: Values) -> None:
        """Gives variables their earlier values, in a graph, unless the flag holds."""
        if not tf.distribute.has_strategy():
            tf.cond(flag, lambda: None, lambda: put_back(saved))  # what is not needed is not computed
        else:  # strategies change variables outside of conditions only
            values = [tf.where(flag, tf.convert_to_tensor(v), before) for v, before in saved]
            assign([variable for variable, _ in saved], values)

    def record(self, predict: Predict) -> tuple[Any, PullBack]:
        clear_losses(self.net)
        with tf.GradientTape(persistent=True) as tape:
            x = predict()
            outputs = trees.natives(x)
            losses = [sum_of(loss) for loss in getattr(self.net, "losses", [])]
        if self.is_traced:
            clear_losses(self.net)  # it must not keep tensors of a graph

        def pull_back(cotangent: Any, share: float) -> None:
            nonlocal tape
            variables = self.weights
            cotangents = [c * tf.cast(self._scale, c.dtype) for c in trees.natives(cotangent, like=x)]
            found = tape.gradient(outputs, variables, output_gradients=cotangents)
            if losses and any(gradient is not None for gradient in found):
                share = share if self.workers is None else share / self.workers.count
                weights = [tf.cast(self._scale * share, loss.dtype) for loss in losses]
                added = tape.gradient(losses, variables, output_gradients=weights)
                found = [add(a, b) for a, b in zip(found, added, strict=True)]
            del tape
            self._accumulate(found)

        return trees.with_natives(x, [tf.stop_gradient(value) for value in outputs]), pull_back

    def record_rows(self, compute: Callable[[], Any]) -> tuple[Any, PullBackRows]:
        clear_losses(self.net)
        with tf.GradientTape(persistent=True) as tape:
            output = compute()
            adds_losses = bool(getattr(self.net, "losses", []))
        clear_losses(self.net)
        variables = self.weights
        if adds_losses or any(variable.dtype.is_complex for variable in map(tf.convert_to_tensor, variables)):
            raise UnsupportedError(
                f"{'Layers of the network add losses' if adds_losses else 'The network has complex weights'}, of which "
                f"the derivatives of its answers say nothing. Nothing was changed. Leave them out, or train by another "
                f"rule."
            )

        def pull_back(cotangents: Any) -> list[Any]:
            nonlocal tape
            recorded = tape
            found = recorded.gradient(output, variables, output_gradients=cotangents[0])
            connected = [v for v, gradient in zip(variables, found, strict=True) if gradient is not None]

            def row(cotangent: Any) -> list[Any]:
                gradients = recorded.gradient(output, connected, output_gradients=cotangent)
                return [tf.convert_to_tensor(gradient) for gradient in gradients]

            rows = iter(vmap(row, cotangents) if connected else [])
            del tape
            return [None if gradient is None else next(rows) for gradient in found]

        return tf.stop_gradient(output), pull_back

    @property
    def weights(self) -> list[Any]:
        return list(self.net.trainable_variables)

    def add_gradients(self, gradients: Sequence[Any]) -> None:
        """Scales them as the optimizer scales the loss, which it will undo."""
        scaled = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        self._accumulate([None if g is None else g * tf.cast(self._scale, g.dtype) for g in scaled])

    def _accumulate(self, gradients: Sequence[Any]) -> None:
        before = self.gradients or [None] * len(gradients)
        self.gradients = [add(a, b) for a, b in zip(before, gradients, strict=True)]

    def after(self, values: list[Any], done: list[Any]) -> list[Any]:
        with tf.control_dependencies(done):
            return [tf.identity(value) for value in values]

    def clip_gradients(self, norm: float) -> None:
        reduce = None if self.workers is None else self.workers.sum
        self.gradients = clipped(self.gradients, norm * self._scale, reduce)

    def apply(self, objectives: Sequence[Objective]) -> None:
        self._stepper.step(self.gradients)

    def skip(self) -> bool:
        """Lets `LossScaleOptimizer` lower its scale where the gradient overflows; it leaves out the step."""
        if not self._stepper.lowers_scale or not bool(self._scale > 1):
            return False
        self.restore()
        self.apply([])
        return True

    def is_finite(self, values: Sequence[Any]) -> Any:
        return all_finite([value for value in values if value is not None])

    def is_state_finite(self) -> Any:
        known = [(v, before) for v, before in self._saved if before.dtype.is_floating or before.dtype.is_complex]
        now, before = joined([tf.convert_to_tensor(v) for v, _ in known]), joined([before for _, before in known])
        return tf.reduce_all([tf.reduce_all(finite(a) | ~finite(b)) for a, b in zip(now, before, strict=True)])

    def _on_all(self, flag: Any) -> Any:
        """Tells whether it holds on all workers."""
        return flag if self.workers is None else self.workers.sum(tf.cast(~flag, tf.int32)) == 0

    def signature(self) -> Hashable:
        weights = tuple(identities.number(variable) for variable in self.net.trainable_variables)
        return self._training, weights, keys.of_value((self.net, self.optimizer))

    def compile(self, step: Step) -> CompiledStep:
        """Holds weak references: the graph must not keep the optimizer alive, with which it goes."""
        net, optimizer, training = weakref.ref(self.net), weakref.ref(self.optimizer), self._training

        def run(natives: list[Any]) -> tuple[Any, list[Any]]:
            return step(TensorFlowTrainable(net(), optimizer(), training, is_repeated=True), natives)

        compiled, graph = tf.function(run, autograph=False), None

        def call(natives: list[Any]) -> tuple[Any, list[Any]]:
            nonlocal graph
            graph = graph or compiled.get_concrete_function(natives)
            return graph(natives)  # type: ignore[no-any-return]

        return call
