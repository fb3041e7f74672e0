"""One weight update that is made whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from phiml import math

from ..contract.trainable import Objective, Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import NetworkOutputError, NonFiniteError, UnsupportedError
from ..interrupts import interruptible
from ..states.workers import working_together
from .micro_batches import joined, split
from .part import Part
from .prediction import first_prediction
from .verdict import Verdict

Gradient = Callable[[Part], tuple[SipUpdate, Objective | None]]


def make_update(
    trainable: Trainable,
    request: UpdateRequest,
    gradient: Gradient,
    uses: Collection[str] = (),
    finish: Callable[[], None] | None = None,
) -> SipUpdate:
    """
    Makes one update, whatever rule its gradient comes from:

        for each micro-batch:  gradients += gradient(part)
        gradients ← gradients · min(1, clip_norm / ‖gradients‖)
        θ ← optimizer(gradients)

    If anything fails or is not finite, weights, optimizer state and batch statistics are put back as they were. Within
    a graph nothing is raised where values are not finite, and nothing is changed: see `SipUpdate.applied`.

    Args:
        trainable: Network and optimizer.
        request: What is asked for.
        gradient: Adds the gradient of one micro-batch to `trainable`, by what `trainable.record` returns or by
            `trainable.add_gradients`. Returns what the update did, and its loss as a function of the weights, `None` if
            there is none: then optimizers that evaluate the loss again, and several workers, are refused.
        uses: Names of arguments that `gradient` uses, of `step_size`, `solver`, `compile` and `targets`. Others are
            refused if they ask for something. `predict`, `inputs`, `x_true`, `micro_batches` and `clip_norm` work for
            any gradient.
        finish: Called after all micro-batches, for rules that add what they have found only when they have seen all.

    Returns:
        What the update did, for the whole batch.

    Raises:
        UnsupportedError: if an argument is not used.
        NonFiniteError: if gradient, new weights, optimizer state or losses hold NaN or infinity.
        NetworkOutputError: if the prediction does not depend on the weights.
    """
    request.check_uses(uses, getattr(gradient, "__qualname__", type(gradient).__qualname__))
    with trainable.context(), trainable.backend, working_together(trainable.workers):
        verdict = Verdict(trainable)
        parts = [Part(trainable, part, verdict) for part in split(request)]
        trainable.prepare(first_prediction(trainable, parts[0].request))
        trainable.save()
        try:
            with interruptible():
                made = [(part, *gradient(part)) for part in parts]
                if finish is not None:
                    finish()
            objectives = [objective for *_, objective in made if objective is not None]
            if trainable.workers is not None and len(objectives) < len(made):
                raise UnsupportedError(_NOT_REDUCED)
            update = joined(request, [part.with_truth(update) for part, update, _ in made])
            _check_connected(trainable)
            if verdict.is_gradient_finite():
                trainable.apply(_clipped(trainable, request, objectives))
                verdict.expect(trainable.is_state_finite(), lambda: NonFiniteError(_NON_FINITE_STATE))
                for what, loss in (("The proxy loss", update.loss), ("The misfit y_l2", update.y_l2)):
                    verdict.expect_finite(what, loss, f"Nothing was changed: a square overflows. {DIVERGED}")
                return replace(update, applied=verdict.conclude())
            if not trainable.skip():
                raise NonFiniteError(_NON_FINITE_GRADIENT)
            return replace(update, applied=math.wrap(False))
        except BaseException:
            trainable.restore()
            raise


def _clipped(trainable: Trainable, request: UpdateRequest, objectives: Sequence[Objective]) -> Sequence[Objective]:
    """Clips the gradient, if that is asked for. Then no optimizer may evaluate the loss again: it is not clipped."""
    if request.clip_norm is None:
        return objectives
    trainable.clip_gradients(request.clip_norm)
    optimizer = type(trainable.optimizer).__name__

    def refuse() -> Any:
        raise UnsupportedError(
            f"clip_norm = {request.clip_norm:g} bounds the one gradient of an update, but {optimizer} evaluates the "
            f"loss again within its step, as line searches do, and looks for the gradient of that. Nothing was "
            f"changed. Leave out clip_norm: such optimizers choose the length of the step by themselves."
        )

    return [replace(objective, predict=refuse) for objective in objectives]


def _check_connected(trainable: Trainable) -> None:
    if all(gradient is None for gradient in trainable.gradients):
        raise NetworkOutputError(
            "The prediction does not depend on the weights, so nothing can be learned. Evaluate `net` inside "
            "`predict`, without stop_gradient, and pass the optimizer the parameters of this network."
        )


_NOT_REDUCED = (
    "Several workers train the network, but this update adds gradients by itself, which are not reduced over them. "
    "Train with one worker, or by `sip_update_weights` without the plugin that makes this update."
)
DIVERGED = "Lower the learning rate, or use float64."
_NON_FINITE_GRADIENT = (
    "The gradient of the weights holds NaN or infinity. Nothing was changed. Check activations of the network that "
    "overflow in single precision, or use a smaller step_size."
)
_NON_FINITE_STATE = (
    "The optimizer made weights or its own state non-finite and was undone. Lower the learning rate, or clip the "
    "gradient: clip_norm=..., e.g. its usual norm."
)
