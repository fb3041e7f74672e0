"""Updates of Keras networks with Keras optimizers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from phiml import math

from ...compilation import keys
from ...compilation.code import class_is_library
from ...compilation.identity import identities
from ...contract.hookspecs import hookimpl
from ...contract.trainable import CompilingTrainer, Objective, Predict, Step, defined_in
from ...errors import NetworkOutputError, UnsupportedError
from ...states import trees
from ...states.checks import check_finite
from ...step.compiled import compiled_update
from ...step.update import BAD_SAMPLES, SipUpdate, UpdateRequest, prediction
from ...text.printable import sentence

if TYPE_CHECKING:
    from phiml.backend import Backend


class TensorFlowTrainer(CompilingTrainer):
    """
    A Keras model or other object with `trainable_variables`, and a Keras optimizer.

    The gradients are those of `optimizer.scale_loss(loss + Σ net.losses)`, as in Keras' `fit`.

    Args:
        net, optimizer, training: See `sip_update_weights`.
        is_repeated: Whether an update that was not made in a graph is made again step by step, so that nothing at all
            may be changed in the graph.
    """

    def __init__(self, net: Any, optimizer: Any, training: bool | None, is_repeated: bool = False) -> None:
        import tensorflow as tf
        from phi.tf import TENSORFLOW

        from .replicas import Replicas

        if not hasattr(optimizer, "apply_gradients") or callable(getattr(optimizer, "variables", None)):
            raise UnsupportedError(
                f"The optimizer of a TensorFlow network must be a Keras optimizer, not "
                f"{type(optimizer).__module__}.{type(optimizer).__qualname__}. Create it with phi.tf.flow.adam(net) or "
                f"keras.optimizers."
            )
        self.tf = tf
        self.backend: Backend = TENSORFLOW
        self.net, self.optimizer, self.training, self.is_repeated = net, optimizer, training, is_repeated
        self.workers = Replicas.here()

    @property
    def is_traced(self) -> bool:
        return not self.tf.executing_eagerly()

    def call(self, native: Any) -> Any:
        return call_keras(self.net, native, {} if self.training is None else {"training": self.training})

    def prepare(self, request: UpdateRequest) -> None:
        """A network that makes variables when it is called is called once; they keep their initial values."""
        if not self.is_traced and not _has_made_all(self.net):
            y_target = trees.to_backend(request.y_target, self.backend)
            check_finite("y_target", y_target, BAD_SAMPLES)
            with self.backend:
                self._make_variables(prediction(self, request.physics, y_target, request.predict))
            _complete[id(self.net)] = self.net
        elif self.is_traced and not getattr(self.net, "built", True):
            self._make_variables(prediction(self, request.physics, request.y_target, request.predict))
        self._prepare_optimizer()

    def save(self) -> None:
        self.gradients: list[Any] = []
        self.scale = self._scale()
        self.saved = _copies(self.tf, [*_variables(self.net), *_variables_of_optimizer(self.optimizer)])

    def restore(self) -> None:
        for variable, value in self.saved:
            variable.assign(value)

    def keep_if(self, flags: Sequence[Any], gradient_is_finite: Any) -> Any:
        from .replicas import assign

        tf = self.tf
        holds, applied = self._on_all(tf.reduce_all(flags)), self._on_all(gradient_is_finite)
        lowers = self.scale > 1 if self._lowers_scale and not self.is_repeated else False
        applied = applied & holds
        reacting = {id(variable) for variable in self._scale_variables()}
        values = [
            tf.where(holds & (applied | lowers) if id(v) in reacting else applied, tf.convert_to_tensor(v), before)
            for v, before in self.saved
        ]
        assign([variable for variable, _ in self.saved], values)
        return applied

    def record(self, predict: Predict) -> Any:
        _clear_losses(self.net)
        with self.tf.GradientTape(persistent=True) as self.tape:
            self.x = predict()
            self.outputs = trees.natives(self.x)
            self.losses = [self._sum_of(loss) for loss in getattr(self.net, "losses", [])]
        if self.is_traced:
            _clear_losses(self.net)  # it must not keep tensors of a graph
        return trees.with_natives(self.x, [self.tf.stop_gradient(value) for value in self.outputs])

    def accumulate(self, cotangent: Any, share: float) -> None:
        variables = list(self.net.trainable_variables)
        cotangents = [c * self.tf.cast(self.scale, c.dtype) for c in trees.natives(cotangent, like=self.x)]
        found = self.tape.gradient(self.outputs, variables, output_gradients=cotangents)
        if self.losses and any(gradient is not None for gradient in found):
            share = share if self.workers is None else share / self.workers.count
            weights = [self.tf.cast(self.scale * share, loss.dtype) for loss in self.losses]
            added = self.tape.gradient(self.losses, variables, output_gradients=weights)
            found = [self._add(a, b) for a, b in zip(found, added, strict=True)]
        del self.tape, self.outputs, self.losses
        before = self.gradients or [None] * len(found)
        self.gradients = [self._add(a, b) for a, b in zip(before, found, strict=True)]

    def in_turn(self, values: list[Any]) -> list[Any]:
        with self.tf.control_dependencies([gradient for gradient in self.gradients if gradient is not None]):
            return [self.tf.identity(value) for value in values]

    def apply(self, objectives: Sequence[Objective]) -> None:
        from . import real_views

        variables = list(self.net.trainable_variables)
        trained = real_views.trained_by(self.optimizer, variables)
        views = [(v, view) for v, view in zip(variables, trained, strict=True) if view is not v]
        for variable, view in views:
            view.assign(real_views.as_real(variable))
        pairs = [
            (real_views.as_real(gradient), variable)
            for gradient, variable in zip(self.gradients, trained, strict=True)
            if gradient is not None
        ]
        try:
            if self.is_traced:
                self.optimizer.apply_gradients(pairs)
            else:
                _compiled_apply(self.tf, self.optimizer, [v for _, v in pairs])([g for g, _ in pairs])
        except ValueError as error:
            raise self._refused(error) from error
        for variable, view in views:
            real_views.assign_to(variable, view)

    def skip(self) -> bool:
        """`LossScaleOptimizer` lowers its scale where the gradient overflows, and leaves out the step."""
        if not self._lowers_scale or not bool(self.scale > 1):
            return False
        self.restore()
        self.apply([])
        return True

    def is_finite(self, values: Sequence[Any]) -> Any:
        return self.tf.reduce_all([self.tf.reduce_all(self._finite(value)) for value in values if value is not None])

    def is_state_finite(self) -> Any:
        known = [(v, before) for v, before in self.saved if before.dtype.is_floating or before.dtype.is_complex]
        return self.tf.reduce_all(
            [
                self.tf.reduce_all(self._finite(self.tf.convert_to_tensor(variable)) | ~self._finite(before))
                for variable, before in known
            ]
        )

    def _finite(self, value: Any) -> Any:
        tf = self.tf
        if isinstance(value, tf.IndexedSlices):
            value = value.values
        if value.dtype.is_complex:
            return tf.math.is_finite(tf.math.real(value)) & tf.math.is_finite(tf.math.imag(value))
        return tf.math.is_finite(value)

    def _add(self, a: Any, b: Any) -> Any:
        """The sum of two gradients, which may be sparse or missing."""
        if a is None or b is None:
            return b if a is None else a
        return self.tf.convert_to_tensor(a) + self.tf.convert_to_tensor(b)

    def _sum_of(self, loss: Any) -> Any:
        """A loss that a layer adds, as Keras' `fit` sums it."""
        loss = self.tf.convert_to_tensor(loss)
        return self.tf.reduce_sum(loss if loss.dtype.is_floating else self.tf.cast(loss, self.tf.float32))

    @property
    def _lowers_scale(self) -> bool:
        """Whether the optimizer deals with gradients that overflow by its scale of the loss."""
        return hasattr(self.optimizer, "dynamic_scale")

    def _scale_variables(self) -> list[Any]:
        return [self.optimizer.dynamic_scale, self.optimizer.step_counter] if self._lowers_scale else []

    def _scale(self) -> Any:
        """By what the optimizer multiplies the loss, and will divide the gradients."""
        one = self.tf.ones(())
        return self.optimizer.scale_loss(one) if hasattr(self.optimizer, "scale_loss") else one

    def _on_all(self, flag: Any) -> Any:
        """Whether it holds on all workers."""
        tf = self.tf
        return flag if self.workers is None else self.workers.sum(tf.cast(~flag, tf.int32)) == 0

    def _prepare_optimizer(self) -> None:
        """Builds the optimizer for the weights of the network, or checks that it was built for them."""
        from .real_views import trained_by

        if not self.net.trainable_variables:
            raise NetworkOutputError(
                f"The network {type(self.net).__name__} has no trainable variables, so nothing can be learned. Set "
                f"trainable = True for the layers to train."
            )
        trained = trained_by(self.optimizer, self.net.trainable_variables)
        if not getattr(self.optimizer, "built", True):
            self.optimizer.build(trained)
        elif hasattr(self.optimizer, "_check_variables_are_known"):
            try:
                self.optimizer._check_variables_are_known(trained)
            except ValueError as error:
                raise self._refused(error) from error

    def _refused(self, error: ValueError) -> UnsupportedError:
        from .real_views import is_complex

        if any(is_complex(variable) for variable in self.net.trainable_variables):
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

    def _make_variables(self, predict: Predict) -> None:
        """Calls the network for the variables that it makes, and undoes what the call changes."""
        tf, made = self.tf, []

        def note(create: Callable[..., Any], **options: Any) -> Any:
            variable = create(**options)
            made.append((variable, tf.identity(variable) if tf.executing_eagerly() else None))
            return variable

        known = _copies(tf, _variables(self.net)) if not self.is_traced else []
        training = self.training
        if self.is_traced:
            self.training = False  # what is made in a graph has no value yet that could be put back
        try:
            with tf.variable_creator_scope(note):
                predict()
        finally:
            self.training = training
            for variable, value in [*known, *made]:
                if value is not None:
                    variable.assign(value)
            _clear_losses(self.net)

    def signature(self) -> Hashable:
        weights = tuple(identities.number(variable) for variable in self.net.trainable_variables)
        return self.training, weights, keys.of_value((self.net, self.optimizer))

    def compile(self, step: Step) -> Callable[[list[Any]], tuple[Any, list[Any]]]:
        """Holds weak references: the graph must not keep the optimizer alive, with which it goes."""
        net, optimizer, training = weakref.ref(self.net), weakref.ref(self.optimizer), self.training

        def run(natives: list[Any]) -> tuple[Any, list[Any]]:
            return step(TensorFlowTrainer(net(), optimizer(), training, is_repeated=True), natives)

        compiled, graph = self.tf.function(run, autograph=False), None

        def call(natives: list[Any]) -> tuple[Any, list[Any]]:
            nonlocal graph
            graph = graph or compiled.get_concrete_function(natives)
            return graph(natives)  # type: ignore[no-any-return]

        return call


_complete: WeakValueDictionary[int, Any] = WeakValueDictionary()  # networks that have made all their variables, by id


def _has_made_all(net: Any) -> bool:
    """Whether a network has made all its variables: it has been called, or Keras' own layers say so."""
    if _complete.get(id(net)) is net:
        return True
    layers = list(net._flatten_layers()) if hasattr(net, "_flatten_layers") else []
    return bool(layers) and all(layer.built and class_is_library(type(layer)) for layer in layers)


def call_keras(net: Any, native: Any, options: dict[str, Any]) -> Any:
    """The network on a tensor, in the floating point type of its weights."""
    import tensorflow as tf

    dtype = _dtype_of(net)
    with math.precision(64 if dtype == tf.float64 else 32):
        output = net(tf.cast(native, dtype), **options)
    return tf.cast(output, native.dtype) if getattr(getattr(output, "dtype", None), "is_floating", False) else output


def _dtype_of(net: Any) -> Any:
    """That of its first weight; single precision for integers and networks that have none."""
    import tensorflow as tf

    variables = [*net.trainable_variables, *net.variables]
    found = [tf.as_dtype(v.dtype) for v in variables] or [tf.as_dtype(getattr(net, "variable_dtype", "float32"))]
    return next((dtype.real_dtype for dtype in found if dtype.is_floating or dtype.is_complex), tf.float32)


def _variables(net: Any) -> list[Any]:
    """Of a network: weights, batch statistics, seeds, and what its metrics count."""
    return [*net.variables, *getattr(net, "metrics_variables", [])]


def _variables_of_optimizer(optimizer: Any) -> list[Any]:
    """Its state, and what it was built for: it may know weights of other networks, and change them."""
    inner = getattr(optimizer, "inner_optimizer", None)
    known = [*getattr(optimizer, "_trainable_variables", []), *getattr(inner, "_trainable_variables", [])]
    return [*optimizer.variables, *known]


def _copies(tf: Any, variables: list[Any]) -> list[tuple[Any, Any]]:
    unique = {id(variable): variable for variable in variables}
    return [(variable, tf.identity(variable)) for variable in unique.values()]


def _clear_losses(net: Any) -> None:
    """Forgets the losses that layers have added in earlier calls."""
    getattr(net, "_clear_losses", lambda: None)()


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
