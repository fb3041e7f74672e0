"""`sip_update_weights`: one weight update with a local inverse of the physics in place of its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phiml.math import Tensor

from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.target import TrainingTarget
from ..contract.trainable import Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import ParameterError, UnsupportedError
from ..frameworks import framework_for
from ..inputs import resolve_inputs
from ..inversion.operator import resolve_solver
from ..plugins.manager import DISABLE_VARIABLE, get_plugin_manager
from ..states.checks import check_clip_norm, check_count, check_parameter
from ..targets import LocalInverse, resolve_target
from ..teacher import Teacher
from .predict_function import check_predict
from .prediction import check_physics_type
from .random_numbers import drawn
from .simulation import simulates
from .teaching import check_teacher, taught_update


def sip_update_weights(
    net: Any,
    optimizer: Any,
    physics: InvertiblePhysics,
    y_target: Any,
    *,
    predict: Callable[..., Any] | None = None,
    step_size: float | Tensor = 1.0,
    solver: str | InverseSolver | None = None,
    x_true: Any = None,
    training: bool | None = None,
    compile: bool | None = None,
    micro_batches: int = 1,
    clip_norm: float | None = None,
    inputs: Sequence[str | NetworkInput] | None = None,
    targets: str | TrainingTarget | None = None,
    teacher: Teacher | None = None,
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
        predict: Maps y*, stored as it was given, to x, in place of calling `net` and applying `physics.constrain`. A
            function `predict(y, physics)`, whose second argument has no default, or which has an argument named
            `physics`, is also given the physics: in micro-batches that of the part.
        step_size: η > 0.
        solver: Numerical inverse by name or as object; `"gradient"` is ordinary training through the physics.
            Default: the physics' own inverse; where it has none, `Linear` or `TruncatedGaussNewton`.
        x_true: True states, to report `x_l2`. They enter the gradient with `Labels()` only.
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
        clip_norm: c > 0. A gradient of the weights that is longer is shortened, g ← g · min(1, c / ‖g‖), with the norm
            of all weights together, as by `torch.nn.utils.clip_grad_norm_`, `tf.clip_by_global_norm` and
            `optax.clip_by_global_norm`: once all micro-batches and workers have been added, before the optimizer.
            The loss is a sum over the batch, so ‖g‖ grows with it. Default: as it is.
        inputs: What the network is shown, by name or as objects, one after the other in its channels: `"y"`, the
            observation (default); `"estimate"`, the answer x̂ of the inverse alone, to which the network then adds:
            x = x̂ + net(y*, x̂); `"linear"`, `"uncertainty"`, and those of plugins. For two such of one channel each a
            network has two channels in and one out, e.g. `u_net(2, 1)`. See `start_from_estimate`.
        targets: What the network is drawn to, by name or as object: `LocalInverse()` (default), as above, of more than
            16 samples with edge-aware rules for 16 or an eighth of them only; `SelfSimulated()`, states that are
            simulated from estimates; `Labels()`, `x_true`; `HalfInverse()`, y* itself, by half-inverse gradients of
            network and physics together; and those of plugins.
        teacher: Average of the weights, which follows this update, and which `SelfSimulated()` learns from. What is
            simulated for it is made for the whole batch at once, whatever `micro_batches` says.

    Returns:
        `SipUpdate`.

    Raises:
        NonFiniteError: if data, prediction, correction, gradient or new weights hold NaN or infinity.
        NetworkOutputError: if the prediction is not a state of the physics, or does not depend on weights that can be
            trained.
        GridMismatchError: if P(x) and `y_target`, or x and `x_true`, cannot be compared.
        UnsupportedError: if no plugin knows the network, the optimizer is not of its framework, was made for another
            network, or needs more than gradients and the loss; if it evaluates the loss again and `clip_norm` is given.
        ParameterError: if arguments contradict each other, the batch cannot be divided by `micro_batches`, or `teacher`
            is that of another network.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    Algorithm 1.
    """
    check_physics_type(physics)
    shown, target = resolve_inputs(inputs), resolve_target(targets)
    check_predict(predict)
    if predict is not None and shown:
        raise ParameterError("inputs=... has no effect with predict=...: leave out one of them.")
    if target is not None:
        target.check(x_true is not None)
    if predict is not None and training is not None:
        raise ParameterError("training=... has no effect with predict=...: pass it on where predict calls the network.")
    check_parameter("sip_update_weights", "step_size", step_size, positive=True)
    check_count("sip_update_weights", "micro_batches", micro_batches)
    check_clip_norm("sip_update_weights", clip_norm)
    trainable = framework_for(net).trainable(net, optimizer, training)
    if teacher is not None:
        check_teacher(teacher, trainable, target, x_true)
    draws, drawing = None, target or LocalInverse()
    chooses_none = solver is not None and drawing == LocalInverse()
    if not chooses_none and (teacher is None or not simulates(drawing)):
        draws = drawn(drawing, trainable, physics, y_target)
    request = UpdateRequest(
        physics,
        y_target,
        predict,
        step_size,
        resolve_solver(solver),
        x_true,
        compile,
        micro_batches,
        shown,
        target,
        draws,
        clip_norm=clip_norm,
    )
    trainable.check(request)
    if teacher is not None:
        return taught_update(trainable, request, teacher, _update)
    return _update(trainable, request)


def _update(trainable: Trainable, request: UpdateRequest) -> SipUpdate:
    """Makes the update, by whichever plugin does."""
    result: SipUpdate | None = get_plugin_manager().first_result(
        "sip_update_weights", trainable=trainable, request=request
    )
    if result is None:
        raise UnsupportedError(
            "No plugin makes the update: the built-in plugin 'update' is blocked by "
            f"{DISABLE_VARIABLE}. Remove it from there."
        )
    return result
