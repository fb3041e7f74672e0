"""The gradient of one micro-batch: the corrections of the network's answers, pulled back to the weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.target import Corrected
from ..contract.trainable import Objective
from ..contract.update import SipUpdate
from ..inversion.operator import OVERFLOW
from ..states import trees
from ..states.scales import StateScales
from ..states.workers import failing_together
from ..targets import LocalInverse
from .part import Part


def target_gradient(part: Part) -> tuple[SipUpdate, Objective]:
    """
    Adds the gradient of the proxy loss of one micro-batch to those of the weights:

        xᵢ = f(yᵢ; θ),   Δxᵢ from the target,   L = Σᵢ ½ ‖Δxᵢ‖²,   ∂L/∂θ = −Σᵢ Δxᵢ · ∂xᵢ/∂θ

    in the norm of states, see `InvertiblePhysics.x_scale`.

    Args:
        part: The micro-batch.

    Returns:
        What the update did, and the proxy loss as a function of the weights.
    """
    request, trainable = part.request, part.trainable
    target, scales = request.targets or LocalInverse(), StateScales(request.physics.x_scale)
    with failing_together():
        y_target = part.observation()
    with failing_together(), math.precision(trees.precision_of(y_target)):
        context = part.context(y_target)
        lesson = target.lesson(context)
        predictions = [part.prediction(observed) for observed in lesson.shown]

        def predict() -> list[Any]:
            return [predict_one() for predict_one in predictions]

        answers, pull_back = trainable.record(predict)
        answer = answers[0] if lesson.answer is None else lesson.answer
        part.check_prediction(answer)
        for other in answers:
            part.expect_finite_prediction(other)
        corrected = lesson.correct(answers)
        corrections = [correction.dx for correction in corrected]
        for dx in corrections:
            part.expect_finite(f"The correction of {type(request.physics).__name__}", dx, OVERFLOW)
        y = _simulated(part, answer, corrected if lesson.answer is None else ())
    pull_back([trees.scale(scales.derivative(dx), -1) for dx in corrections], part.share)
    targets = [trees.add(x, dx) for x, dx in zip(answers, corrections, strict=True)]
    loss = _summed(scales.loss(dx) for dx in corrections)
    residual = trees.subtract(trees.in_order_of(y_target, y), y)
    update = SipUpdate(loss, answer, trees.in_order_of(y, y_target), targets[0], trees.l2_loss(residual))
    total = math.sum(update.loss, update.loss.shape)
    return update, Objective(predict, lambda xs: _proxy_loss(scales, xs, targets), total)


def _simulated(part: Part, answer: Any, corrected: Sequence[Corrected]) -> Any:
    """Returns P(x), which may be known from its correction."""
    known = corrected[0].y if corrected else None
    return trees.stop_gradient(part.request.physics.forward(answer)) if known is None else known


def _proxy_loss(scales: StateScales, answers: Sequence[Any], targets: Sequence[Any]) -> tuple[Tensor, Any]:
    """Computes Σᵢ ½ ‖xᵢ − x̃ᵢ‖², summed over the batch, and its gradient in all xᵢ."""
    differences = [trees.subtract(x, to) for x, to in zip(answers, targets, strict=True)]
    loss = _summed(scales.loss(difference) for difference in differences)
    return math.sum(loss, loss.shape), [scales.derivative(difference) for difference in differences]


def _summed(losses: Iterable[Tensor]) -> Tensor:
    first, *others = losses
    return sum(others, first)
