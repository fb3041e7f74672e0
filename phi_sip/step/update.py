"""`sip_update_weights`: one weight update with a local inverse of the physics in place of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.trainable import Objective, Trainer
from ..errors import NetworkOutputError, NonFiniteError, ParameterError, UnsupportedError
from ..interrupts import interruptible
from ..inversion.operator import OVERFLOW, SipStep, invert, resolve_solver
from ..plugins.manager import get_plugin_manager
from ..states import trees
from ..states.checks import check_count, check_parameter, check_same_grid, non_finite
from ..states.workers import failing_together, working_together
from .micro_batches import joined, split
from .network import call_network


@dataclass(frozen=True, eq=False)
class SipUpdate:
    """
    What one update did. Losses are ½ Σ over cells, per batch entry, as PhiFlow's `l2_loss`; `float(loss.mean)` is the
    mean over the batch.

    Attributes:
        loss: Proxy loss ½ ‖x − x̃‖², without losses that layers of a Keras network add.
        x: Prediction, before the update.
        y: P(x).
        x_target: Corrected state x̃ that the network was drawn towards.
        y_l2: ½ ‖y − y*‖².
        x_l2: ½ ‖x − x_true‖² if `x_true` was given, for tracking.
        applied: Whether the weights were changed. False where the gradient overflowed by the scale of Keras'
            `LossScaleOptimizer`, which was lowered then; and within a graph, where no error can be raised, if something
            was not finite. Nothing else was changed then.
    """

    loss: Tensor
    x: Any
    y: Any
    x_target: Any
    y_l2: Tensor
    x_l2: Tensor | None = None
    applied: Tensor = field(default_factory=lambda: math.wrap(True))


@dataclass(frozen=True, eq=False)
class UpdateRequest:
    """The arguments of `sip_update_weights` that every framework treats alike, after checks."""

    physics: InvertiblePhysics
    y_target: Any
    predict: Callable[[Any], Any] | None = None
    step_size: float | Tensor = 1.0
    solver: InverseSolver | None = None
    x_true: Any = None
    micro_batches: int = 1


def sip_update_weights(
    net: Any,
    optimizer: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    *,
    predict: Callable[[Any], Any] | None = None,
    step_size: float | Tensor = 1.0,
    solver: str | InverseSolver | None = None,
    x_true: Any = None,
    training: bool | None = None,
    compile: bool | None = None,
    micro_batches: int = 1,
) -> SipUpdate:
    """
    Updates the weights θ of a network f that learns the inverse of `physics` from observations alone:

        x = f(y*; θ),   y = P(x),   x̃ = P⁻¹(y + η (y* − y); x),   L = ½ ‖x − x̃‖²,   θ ← optimizer(∂L/∂θ)

    ∂L/∂x is x − x̃ exactly: no derivative is taken through the physics or its inverse. The loss is summed over the
    batch, as in PhiFlow's `update_weights`. Works with the networks and optimizers of `phi.tf.flow`, `phi.torch.flow`
    and `phiml.nn` on JAX, with any Keras model, `tf.Module` or `torch.nn.Module`, and with `OptaxOptimizer`. Optimizers
    are applied as in the framework's own loop: scaled losses, losses that layers of Keras add, line searches, complex
    weights (`docs/training.md` has the list).

    If anything fails or is not finite, weights, optimizer state and batch statistics are put back as they were.

    Args:
        net: Network. On PyTorch also a list of networks, given `predict`. It sees axes, and components that have names,
            in the order of their names, however y* is stored.
        optimizer: Optimizer of the same framework.
        physics: Process that made the observations.
        y_target: Observations y*, usually with a batch dim: `Field`, `Tensor` or tree. The physics runs in their
            precision, the network in that of its weights.
        predict: Maps y*, stored as it was given, to x, in place of calling `net` and applying `physics.constrain`.
        step_size: η > 0.
        solver: Numerical inverse by name or as object; `"gradient"` is ordinary training through the physics.
            Default: the physics' own inverse.
        x_true: True states, to report `x_l2`. They never enter the gradient.
        training: Keras networks only, default `None`: as PhiFlow calls them, batch normalization in inference mode.
            `True` trains its statistics, which need hundreds of steps to be of use for inference (`docs/design.md`).
        compile: Whether network, physics, inverse and optimizer run as one compiled function: a graph on TensorFlow,
            `jax.jit` on JAX. It is made once for each kind of data, physics and solver, of which all tensors and
            `noise_std` may change. Default `None`: on these two, unless `predict` or a plugin that takes part in
            inversions is given, code that may depend on more than its arguments. PyTorch runs step by step, which
            measured best.
        micro_batches: In how many parts of the batch the gradient is computed, one after the other, so that a part
            needs less memory. The weights are updated once. What is fitted to a batch, as statistics of batch
            normalization or a pooled filter, is fitted to each part.

    Returns:
        `SipUpdate`.

    Raises:
        NonFiniteError: if data, prediction, correction, gradient or new weights hold NaN or infinity.
        NetworkOutputError: if the prediction is not a state of the physics, or does not depend on weights that can be
            trained.
        GridMismatchError: if P(x) and `y_target`, or x and `x_true`, cannot be compared.
        UnsupportedError: if no plugin knows the network, the optimizer is not of its framework, was made for another
            network, or needs more than gradients and the loss.
        ParameterError: if arguments contradict each other, or the batch cannot be divided by `micro_batches`.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    Algorithm 1.
    """
    if not isinstance(physics, InvertiblePhysics):
        raise UnsupportedError(f"physics is a {type(physics).__name__}. Give an object such as HeatEquation(1.0, 8.0).")
    if predict is not None and training is not None:
        raise ParameterError("training=... has no effect with predict=...: pass it on where predict calls the network.")
    check_parameter("sip_update_weights", "step_size", step_size, positive=True)
    check_count("sip_update_weights", "micro_batches", micro_batches)
    solver = resolve_solver(solver)
    result: SipUpdate | None = get_plugin_manager().first_result(
        "sip_update_weights",
        net=net,
        optimizer=optimizer,
        physics=physics,
        y_target=y_target,
        predict=predict,
        step_size=step_size,
        solver=solver,
        x_true=x_true,
        training=training,
        compile=compile,
        micro_batches=micro_batches,
    )
    if result is None:
        raise UnsupportedError(
            f"No plugin can train a {type(net).__module__}.{type(net).__qualname__}. Use a Keras model, a "
            f"torch.nn.Module or a JAX network of phiml.nn, or register a plugin that implements `sip_update_weights`."
        )
    return result


def update(trainer: Trainer, request: UpdateRequest) -> SipUpdate:
    """
    One update, the same for all frameworks; see `sip_update_weights`.

    Within a graph nothing is raised where values are not finite, and nothing is changed: see `SipUpdate.applied`.
    """
    with trainer.backend, working_together(trainer.workers):
        verdict = _Verdict(trainer)
        parts = [_Part(trainer, part, verdict) for part in split(request)]
        trainer.prepare(parts[0].request)
        trainer.save()
        try:
            with interruptible():
                results = [part.run() for part in parts]
            result = joined(request, results)
            _check_connected(trainer)
            if verdict.is_gradient_finite():
                trainer.apply([part.objective for part in parts])
                verdict.expect(trainer.is_state_finite(), lambda: NonFiniteError(_NON_FINITE_STATE))
                _check_losses(result, verdict)
                return replace(result, applied=verdict.conclude())
            if not trainer.skip():
                raise NonFiniteError(_NON_FINITE_GRADIENT)
            return replace(result, applied=math.wrap(False))
        except BaseException:
            trainer.restore()
            raise


class _Verdict:
    """Whether all is finite: raised at once where values are known, noted for the end of the update in a graph."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._flags: list[Any] = []
        self._gradient: Any = True

    def expect(self, finite: Any, error: Callable[[], NonFiniteError]) -> None:
        if self._trainer.is_traced:
            self._flags.append(finite)
        elif not bool(finite):
            raise error()

    def expect_finite_state(self, what: str, tree: Any, remedy: str) -> None:
        self.expect(self._trainer.is_finite(trees.natives(tree)), lambda: non_finite(what, tree, remedy))

    def is_gradient_finite(self) -> bool:
        """True in a graph, where it is seen at the end of the update."""
        self._gradient = self._trainer.is_finite(self._trainer.gradients)
        return self._trainer.is_traced or bool(self._gradient)

    def conclude(self) -> Tensor:
        """In a graph, undoes the update unless all was finite. Returns whether it was."""
        return math.wrap(self._trainer.keep_if(self._flags, self._gradient) if self._trainer.is_traced else True)


class _Part:
    """The update for one micro-batch, up to its gradient."""

    objective: Objective

    def __init__(self, trainer: Trainer, request: UpdateRequest, verdict: _Verdict) -> None:
        self._trainer, self.request, self._verdict = trainer, request, verdict

    def run(self) -> SipUpdate:
        with failing_together():
            y_target = self._observation()
        with failing_together():
            step = self._invert(y_target)
        self._trainer.accumulate(trees.scale(step.dx, -1), 1 / self.request.micro_batches)
        x_true = self.request.x_true
        result = _report(step, None if x_true is None else trees.to_backend(x_true, self._trainer.backend))
        self.objective = Objective(
            self._predict, lambda x: _proxy_loss(x, step.x_target), math.sum(result.loss, result.loss.shape)
        )
        return result

    def _observation(self) -> Any:
        y_target = trees.to_backend(self.request.y_target, self._trainer.backend)
        self._verdict.expect_finite_state("y_target", y_target, BAD_SAMPLES)
        if self.request.micro_batches > 1:
            y_target = trees.with_natives(y_target, self._trainer.in_turn(trees.natives(y_target)))
        return y_target

    def _invert(self, y_target: Any) -> SipStep:
        request = self.request
        self._predict = prediction(self._trainer, request.physics, y_target, request.predict)
        x = self._trainer.record(self._predict)
        self._verdict.expect_finite_state(
            "The prediction of the network", x, "Nothing was changed. Lower the learning rate or check the data."
        )
        if request.x_true is not None:
            check_same_grid("the prediction", x, "x_true", request.x_true)
        step = invert(request.physics, y_target, x, request.step_size, request.solver)
        self._verdict.expect_finite_state(f"The correction of {type(request.physics).__name__}", step.dx, OVERFLOW)
        return step


def _check_losses(result: SipUpdate, verdict: _Verdict) -> None:
    for what, loss in (("The proxy loss", result.loss), ("The misfit y_l2", result.y_l2)):
        verdict.expect_finite_state(what, loss, f"Nothing was changed: a square overflows. {DIVERGED}")


def _report(step: SipStep, x_true: Any) -> SipUpdate:
    x_l2 = None if x_true is None else trees.l2_loss(trees.subtract(step.x, x_true))
    loss, y_l2 = trees.l2_loss(step.dx), trees.l2_loss(step.residual)
    return SipUpdate(loss, step.x, step.y, step.x_target, y_l2, x_l2)


def prediction(
    trainer: Trainer, physics: InvertiblePhysics, y_target: Any, predict: Callable[[Any], Any] | None
) -> Callable[[], Any]:
    """What computes x from y*: `predict`, or the network and `physics.constrain`."""
    precision = trees.precision_of(y_target)

    def evaluate() -> Any:
        if predict is not None:
            return trees.cast(predict(y_target), precision)
        x = trees.cast(call_network(trainer.call, y_target), precision)
        with math.precision(precision):
            return physics.constrain(x, y_target)

    return evaluate


def _check_connected(trainer: Trainer) -> None:
    if all(gradient is None for gradient in trainer.gradients):
        raise NetworkOutputError(
            "The prediction does not depend on the weights, so nothing can be learned. Evaluate `net` inside "
            "`predict`, without stop_gradient, and pass the optimizer the parameters of this network."
        )


def _proxy_loss(x: Any, x_target: Any) -> tuple[Tensor, Any]:
    """½ ‖x − x̃‖², summed over the batch, and its gradient in x."""
    difference = trees.subtract(x, x_target)
    loss = trees.l2_loss(difference)
    return math.sum(loss, loss.shape), difference


BAD_SAMPLES = "Nothing was changed. Remove or repair these samples."
DIVERGED = "Lower the learning rate, or use float64."
_NON_FINITE_GRADIENT = (
    "The gradient of the weights holds NaN or infinity. Nothing was changed. Check activations of the network that "
    "overflow in single precision, or use a smaller step_size."
)
_NON_FINITE_STATE = (
    "The optimizer made weights or its own state non-finite and was undone. Lower the learning rate or clip the "
    "gradient."
)
