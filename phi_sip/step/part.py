"""One micro-batch of an update."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..contract.trainable import Predict, Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..states import trees
from ..states.checks import check_same_grid
from .prediction import BAD_SAMPLES, prediction
from .verdict import Verdict


class Part:
    """
    One micro-batch of an update, as the rule that makes the gradient needs it.

    Args:
        trainable: Network and optimizer.
        request: What is updated for, of this micro-batch.
        verdict: Takes note of what is not finite.

    Attributes:
        share: Part of the whole batch.
    """

    def __init__(self, trainable: Trainable, request: UpdateRequest, verdict: Verdict) -> None:
        self.trainable, self.request, self._verdict = trainable, request, verdict
        self.share = 1 / request.micro_batches

    def observation(self) -> Any:
        """Returns y* on the backend of the network, checked to be finite."""
        y_target = trees.to_backend(self.request.y_target, self.trainable.backend)
        self._verdict.expect_finite("y_target", y_target, BAD_SAMPLES)
        if self.request.micro_batches > 1:
            y_target = trees.with_natives(y_target, self.trainable.after_gradients(trees.natives(y_target)))
        return y_target

    def with_truth(self, update: SipUpdate) -> SipUpdate:
        """Returns what an update did with the error ½ ‖x − x_true‖² of its prediction, if `x_true` was given."""
        if self.request.x_true is None:
            return update
        x_true = trees.to_backend(self.request.x_true, self.trainable.backend)
        return replace(update, x_l2=trees.l2_loss(trees.subtract(update.x, x_true)))

    def prediction(self, y_target: Any) -> Predict:
        """Returns the function that computes x = f(y*; θ), differentiable with respect to the weights."""
        return prediction(self.trainable, self.request.physics, y_target, self.request.predict)

    def check_prediction(self, x: Any) -> None:
        """
        Checks a prediction.

        Raises:
            NonFiniteError: if it is not finite.
            GridMismatchError: if it cannot be compared with `x_true`.
        """
        self.expect_finite("The prediction of the network", x, _BAD_PREDICTION)
        if self.request.x_true is not None:
            check_same_grid("the prediction", x, "x_true", self.request.x_true)

    def expect_finite(self, what: str, state: Any, remedy: str) -> None:
        """
        Expects that a state is finite.

        Raises:
            NonFiniteError: if it is not. The update is undone.
        """
        self._verdict.expect_finite(what, state, remedy)


_BAD_PREDICTION = "Nothing was changed. Lower the learning rate or check the data."
