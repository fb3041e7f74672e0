"""Updates of Keras networks with Keras optimizers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .. import trees
from ..compilation import keys
from ..compilation.identity import identities
from ..compilation.update import compiled_update
from ..errors import UnsupportedError
from ..hookspecs import hookimpl
from ..update import SipUpdate, UpdateRequest, prediction
from .base import CompilingTrainer, Objective, Predict, Step, defined_in

if TYPE_CHECKING:
    from phiml.backend import Backend


class TensorFlowTrainer(CompilingTrainer):
    """A Keras model or other object with `trainable_variables`, and a Keras optimizer."""

    def __init__(self, net: Any, optimizer: Any, training: bool | None) -> None:
        import tensorflow as tf
        from phi.tf import TENSORFLOW

        from .replicas import Replicas

        if not hasattr(optimizer, "apply_gradients"):
            raise UnsupportedError(
                f"The optimizer of a TensorFlow network must be a Keras optimizer, not {type(optimizer).__name__}. "
                f"Create it with phi.tf.flow.adam(net) or keras.optimizers."
            )
        self.tf = tf
        self.backend: Backend = TENSORFLOW
        self.net, self.optimizer, self.training = net, optimizer, training
        self.workers = Replicas.here()

    @property
    def is_traced(self) -> bool:
        return not self.tf.executing_eagerly()

    def call(self, native: Any) -> Any:
        if self.training is None:
            return self.net(native)
        return self.net(native, training=self.training)

    def save(self) -> None:
        self.gradients: list[Any] = []
        self.saved: list[tuple[Any, Any]] = []
        self._keep(self._variables())

    def restore(self) -> None:
        for variable, value in self.saved:
            variable.assign(value)

    def keep_if(self, flags: Sequence[Any]) -> Any:
        from .replicas import assign

        tf = self.tf
        holds = tf.reduce_all(flags)
        if self.workers is not None:
            holds = self.workers.sum(tf.cast(~holds, tf.int32)) == 0
        values = [tf.where(holds, tf.convert_to_tensor(variable), before) for variable, before in self.saved]
        assign([variable for variable, _ in self.saved], values)
        return holds

    def record(self, predict: Predict) -> Any:
        if not getattr(self.net, "built", True):
            self._build(predict)
            self._keep(self.net.variables)
        with self.tf.GradientTape() as self.tape:
            self.x = predict()
            self.outputs = trees.natives(self.x)
        return trees.with_natives(self.x, [self.tf.stop_gradient(value) for value in self.outputs])

    def accumulate(self, cotangent: Any) -> None:
        cotangents = trees.natives(cotangent, like=self.x)
        found = self.tape.gradient(self.outputs, self.net.trainable_variables, output_gradients=cotangents)
        del self.tape, self.outputs
        self.gradients = [_sum(a, b) for a, b in zip(self.gradients, found, strict=True)] if self.gradients else found

    def in_turn(self, values: list[Any]) -> list[Any]:
        with self.tf.control_dependencies([gradient for gradient in self.gradients if gradient is not None]):
            return [self.tf.identity(value) for value in values]

    def apply(self, objectives: Sequence[Objective]) -> None:
        if not getattr(self.optimizer, "built", True):
            self.optimizer.build(self.net.trainable_variables)
            self._keep(self.optimizer.variables)
        pairs = [(g, v) for g, v in zip(self.gradients, self.net.trainable_variables, strict=True) if g is not None]
        try:
            if self.is_traced:
                self.optimizer.apply_gradients(pairs)
            else:
                _compiled_apply(self.tf, self.optimizer, [v for _, v in pairs])([g for g, _ in pairs])
        except ValueError as error:
            raise UnsupportedError(
                "The Keras optimizer refused the variables of this network, most likely because it was built for "
                "another one. Create an optimizer for each network."
            ) from error

    def is_finite(self, values: Sequence[Any]) -> Any:
        tf = self.tf
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(v)) for v in values if v is not None])

    def state(self) -> list[Any]:
        values = [self.tf.convert_to_tensor(variable) for variable in self._variables()]
        return [value for value in values if value.dtype.is_floating]

    def prepare(self, request: UpdateRequest) -> None:
        if not getattr(self.net, "built", True):
            with self.backend:
                y_target = trees.to_backend(request.y_target, self.backend)
                self._build(prediction(self, request.physics, y_target, request.predict))
        if not getattr(self.optimizer, "built", True):
            self.optimizer.build(self.net.trainable_variables)

    def signature(self) -> Hashable:
        weights = tuple(identities.number(variable) for variable in self.net.trainable_variables)
        return self.training, weights, keys.of_value((self.net, self.optimizer))

    def compile(self, step: Step) -> Callable[[list[Any]], tuple[Any, list[Any]]]:
        """Holds weak references: the graph must not keep the optimizer alive, with which it goes."""
        net, optimizer, training = weakref.ref(self.net), weakref.ref(self.optimizer), self.training

        def run(natives: list[Any]) -> tuple[Any, list[Any]]:
            return step(TensorFlowTrainer(net(), optimizer(), training), natives)

        compiled, graph = self.tf.function(run, autograph=False), None

        def call(natives: list[Any]) -> tuple[Any, list[Any]]:
            nonlocal graph
            graph = graph or compiled.get_concrete_function(natives)
            return graph(natives)  # type: ignore[no-any-return]

        return call

    def _build(self, predict: Predict) -> None:
        """A Keras model makes its variables when it is first called: do so before anything can change them."""
        training, self.training = self.training, False
        try:
            predict()
        finally:
            self.training = training

    def _keep(self, variables: list[Any]) -> None:
        self.saved += [(variable, self.tf.identity(variable)) for variable in variables]

    def _variables(self) -> list[Any]:
        return [*self.net.variables, *self.optimizer.variables]


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


Apply = Callable[[list[Any]], None]

_compiled: WeakKeyDictionary[Any, tuple[Hashable, Apply]] = WeakKeyDictionary()


def _compiled_apply(tf: Any, optimizer: Any, variables: list[Any]) -> Apply:
    """`optimizer.apply_gradients` on `variables` as one graph, traced once; eagerly it goes variable by variable."""
    key = keys.of_value((optimizer, variables))
    known, apply = _compiled.get(optimizer, (None, None))
    if apply is None or known != key:
        apply = _trace_apply(tf, weakref.ref(optimizer), variables)
        _compiled[optimizer] = key, apply
    return apply


def _trace_apply(tf: Any, optimizer: Callable[[], Any], variables: list[Any]) -> Apply:
    """Takes a weak reference: the graph must not keep the optimizer alive, which is its key in the cache."""

    def apply(gradients: list[Any]) -> None:
        optimizer().apply_gradients(list(zip(gradients, variables, strict=True)))

    compiled: Apply = tf.function(apply, autograph=False)
    return compiled


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
    if not (defined_in(net, "keras", "tensorflow") and hasattr(net, "trainable_variables")):
        return None
    request = UpdateRequest(physics, y_target, predict, step_size, solver, x_true, micro_batches)
    return compiled_update(TensorFlowTrainer(net, optimizer, training), request, compile)
