"""`sip_update_weights`: one weight update with a local inverse of the physics in place of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phiml import math
from phiml.math import Tensor

from . import trees
from .checks import check_finite, check_parameter, check_same_grid
from .errors import NetworkOutputError, NonFiniteError, ParameterError, UnsupportedError
from .operator import SipStep, resolve_solver, sip_inverse
from .physics.base import InvertiblePhysics
from .plugins import get_plugin_manager
from .predict import call_network
from .solvers.base import InverseSolver

if TYPE_CHECKING:
    from .trainers.base import Trainer


@dataclass(frozen=True, eq=False)
class SipUpdate:
    """
    What one update did. Losses are ½ Σ over cells, per batch entry, as PhiFlow's `l2_loss`; `float(loss.mean)` is the
    mean over the batch.

    Attributes:
        loss: Proxy loss ½ ‖x − x̃‖².
        x: Prediction, before the update.
        y: P(x).
        x_target: Corrected state x̃ that the network was drawn towards.
        y_l2: ½ ‖y − y*‖².
        x_l2: ½ ‖x − x_true‖² if `x_true` was given, for tracking.
    """

    loss: Tensor
    x: Any
    y: Any
    x_target: Any
    y_l2: Tensor
    x_l2: Tensor | None = None


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
) -> SipUpdate:
    """
    Updates the weights θ of a network f that learns the inverse of `physics` from observations alone:

        x = f(y*; θ),   y = P(x),   x̃ = P⁻¹(y + η (y* − y); x),   L = ½ ‖x − x̃‖²,   θ ← optimizer(∂L/∂θ)

    ∂L/∂x is x − x̃ exactly: no derivative is taken through the physics or its inverse. The loss is summed over the
    batch, as in PhiFlow's `update_weights`. Works with the networks and optimizers of `phi.tf.flow`, `phi.torch.flow`
    and `phiml.nn` on JAX, with any Keras model or `torch.nn.Module`, and with `OptaxOptimizer`.

    If anything fails or is not finite, weights, optimizer state and batch statistics are put back as they were.

    Args:
        net: Network. On PyTorch also a list of networks, given `predict`.
        optimizer: Optimizer of the same framework.
        physics: Process that made the observations.
        y_target: Observations y*, usually with a batch dim: `Field`, `Tensor` or tree. The physics runs in their
            precision, the network in single precision.
        predict: Maps y* to x, in place of calling `net` and applying `physics.constrain`.
        step_size: η > 0.
        solver: Numerical inverse by name or as object; `"gradient"` is ordinary training through the physics.
            Default: the physics' own inverse.
        x_true: True states, to report `x_l2`. They never enter the gradient.
        training: Keras networks only, default `None`: as PhiFlow calls them, batch normalization in inference mode.
            `True` trains its statistics, which need hundreds of steps to be of use for inference (`docs/design.md`).

    Returns:
        `SipUpdate`.

    Raises:
        NonFiniteError: if data, prediction, correction, gradient or new weights hold NaN or infinity.
        NetworkOutputError: if the prediction is not a state of the physics, or does not depend on the weights.
        GridMismatchError: if P(x) and `y_target`, or x and `x_true`, cannot be compared.
        UnsupportedError: if no plugin knows the network, or the optimizer is not of its framework.
        ParameterError: if arguments contradict each other.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    Algorithm 1.
    """
    if not isinstance(physics, InvertiblePhysics):
        raise UnsupportedError(f"physics is a {type(physics).__name__}. Give an object such as HeatEquation(1.0, 8.0).")
    if predict is not None and training is not None:
        raise ParameterError("training=... has no effect with predict=...: pass it on where predict calls the network.")
    check_parameter("sip_update_weights", "step_size", step_size, positive=True)
    solver = resolve_solver(solver)
    check_finite("y_target", y_target, "Nothing was changed. Remove or repair these observations.")
    result: SipUpdate | None = get_plugin_manager().hook.sip_update_weights(
        net=net,
        optimizer=optimizer,
        physics=physics,
        y_target=y_target,
        predict=predict,
        step_size=step_size,
        solver=solver,
        x_true=x_true,
        training=training,
    )
    if result is None:
        raise UnsupportedError(
            f"No plugin can train a {type(net).__module__}.{type(net).__qualname__}. Use a Keras model, a "
            f"torch.nn.Module or a JAX network of phiml.nn, or register a plugin that implements `sip_update_weights`."
        )
    return result


def update(
    trainer: Trainer,
    physics: InvertiblePhysics,
    y_target: Any,
    predict: Callable[[Any], Any] | None,
    step_size: float | Tensor,
    solver: InverseSolver | None,
    x_true: Any,
) -> SipUpdate:
    """One update, the same for all frameworks; see `sip_update_weights`."""
    with trainer.backend:
        y_target = trees.to_backend(y_target, trainer.backend)
        evaluate = _prediction(trainer, physics, y_target, predict)
        trainer.save()
        try:
            x = trainer.record(evaluate)
            _check_prediction(x, x_true)
            step = sip_inverse(physics, y_target, x, step_size=step_size, solver=solver)
            gradients = trainer.gradients(trees.scale(step.dx, -1))
            _check_gradients(trainer, gradients)
            result = _report(step, None if x_true is None else trees.to_backend(x_true, trainer.backend))
            trainer.apply(gradients, lambda x: _proxy_loss(x, step.x_target), evaluate)
            if not trainer.is_finite(trainer.state()):
                raise NonFiniteError(
                    "The optimizer made weights or its own state non-finite and was undone. "
                    "Lower the learning rate or clip the gradient."
                )
        except BaseException:
            trainer.restore()
            raise
        return result


def _report(step: SipStep, x_true: Any) -> SipUpdate:
    x_l2 = None if x_true is None else trees.l2_loss(trees.subtract(step.x, x_true))
    loss, y_l2 = trees.l2_loss(step.dx), trees.l2_loss(step.residual)
    return SipUpdate(loss, step.x, step.y, step.x_target, y_l2, x_l2)


def _prediction(
    trainer: Trainer, physics: InvertiblePhysics, y_target: Any, predict: Callable[[Any], Any] | None
) -> Callable[[], Any]:
    precision = trees.precision_of(y_target)

    def evaluate() -> Any:
        if predict is not None:
            return trees.cast(predict(y_target), precision)
        x = trees.cast(call_network(trainer.call, y_target), precision)
        with math.precision(precision):
            return physics.constrain(x, y_target)

    return evaluate


def _check_prediction(x: Any, x_true: Any) -> None:
    check_finite("The prediction of the network", x, "Nothing was changed. Lower the learning rate or check the data.")
    if x_true is not None:
        check_same_grid("the prediction", x, "x_true", x_true)


def _check_gradients(trainer: Trainer, gradients: list[Any]) -> None:
    if all(gradient is None for gradient in gradients):
        raise NetworkOutputError(
            "The prediction does not depend on the weights, so nothing can be learned. Evaluate `net` inside "
            "`predict`, without stop_gradient, and pass the optimizer the parameters of this network."
        )
    if not trainer.is_finite(gradients):
        raise NonFiniteError(
            "The gradient of the weights holds NaN or infinity. Nothing was changed. Check activations of the "
            "network that overflow in single precision, or use a smaller step_size."
        )


def _proxy_loss(x: Any, x_target: Any) -> tuple[Tensor, Any]:
    """½ ‖x − x̃‖², summed over the batch, and its gradient in x."""
    difference = trees.subtract(x, x_target)
    return math.sum(trees.l2_loss(difference), dim=math.batch), difference
