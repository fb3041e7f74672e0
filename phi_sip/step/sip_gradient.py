"""The gradient of SIP training: the correction of the prediction by a local inverse, pulled back to the weights."""

from __future__ import annotations

from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.trainable import Objective
from ..contract.update import SipUpdate
from ..inversion.operator import OVERFLOW, invert
from ..states import trees
from ..states.workers import failing_together
from .part import Part


def sip_gradient(part: Part) -> tuple[SipUpdate, Objective]:
    """
    Adds the gradient of the proxy loss of one micro-batch to those of the weights:

        x = f(y*; θ),   Δx = x̃ − x by `sip_inverse`,   ∂L/∂θ = −Δx · ∂x/∂θ

    Args:
        part: The micro-batch.

    Returns:
        What the update did, and the proxy loss as a function of the weights.
    """
    request, trainable = part.request, part.trainable
    with failing_together():
        y_target = part.observation()
    with failing_together():
        predict = part.prediction(y_target)
        x, pull_back = trainable.record(predict)
        part.check_prediction(x)
        step = invert(request.physics, y_target, x, request.step_size, request.solver)
        part.expect_finite(f"The correction of {type(request.physics).__name__}", step.dx, OVERFLOW)
    pull_back(trees.scale(step.dx, -1), part.share)
    update = SipUpdate(trees.l2_loss(step.dx), step.x, step.y, step.x_target, trees.l2_loss(step.residual))
    total = math.sum(update.loss, update.loss.shape)
    return update, Objective(predict, lambda x: _proxy_loss(x, step.x_target), total)


def _proxy_loss(x: Any, x_target: Any) -> tuple[Tensor, Any]:
    """Computes ½ ‖x − x̃‖², summed over the batch, and its gradient in x."""
    difference = trees.subtract(x, x_target)
    loss = trees.l2_loss(difference)
    return math.sum(loss, loss.shape), difference
