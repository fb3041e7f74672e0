"""One micro-batch of an update."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..contract.inputs import Observed
from ..contract.target import TargetContext
from ..contract.trainable import Predict, Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..inversion.observed import InvertedObservation
from ..states import trees
from ..states.checks import check_same_grid
from ..states.scales import StateScales
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
        scales = StateScales(self.request.physics.x_scale)
        return replace(update, x_l2=scales.loss(trees.subtract(update.x, x_true)))

    def observe(self, y_target: Any) -> Observed:
        """Returns other observations of the same physics, on the backend of the network."""
        return InvertedObservation(self.request.physics, y_target)

    def prediction(self, y_target: Any) -> Predict:
        """
        Returns the function that computes x = f(y*; θ), differentiable with respect to the weights.

        Args:
            y_target: Observations, or what `observe` made of them.
        """
        observed = y_target if isinstance(y_target, Observed) else self.observe(y_target)
        return prediction(self.trainable.call, observed, self.request.inputs, self.request.predict)

    def evaluate(self, observed: Observed) -> Any:
        """Computes x = f(y*; θ) as the network is used for inference, without derivatives."""
        with self.trainable.evaluating():
            return trees.stop_gradient(self.prediction(observed)())

    def context(self, y_target: Any) -> TargetContext:
        """
        Returns the observations as a target sees them.

        Args:
            y_target: What `observation` returned.
        """
        request, backend = self.request, self.trainable.backend
        x_true = None if request.x_true is None else trees.to_backend(request.x_true, backend)
        if x_true is not None and request.targets is not None and "x_true" in request.targets.uses:
            self.expect_finite("x_true", x_true, BAD_SAMPLES)
        draws = None if request.draws is None else trees.to_backend(request.draws, backend)
        seen = trees.to_backend(tuple(request.seen), backend) if request.seen else ()
        observed = InvertedObservation(request.physics, y_target, seen)
        return TargetContext(observed, x_true, request.step_size, request.solver, self.evaluate, self.observe, draws)

    def check_prediction(self, x: Any) -> None:
        """
        Checks a prediction.

        Raises:
            NonFiniteError: if it is not finite.
            GridMismatchError: if it cannot be compared with `x_true`.
        """
        self.expect_finite_prediction(x)
        if self.request.x_true is not None:
            check_same_grid("the prediction", x, "x_true", self.request.x_true)

    def expect_finite_prediction(self, x: Any) -> None:
        """Expects that a prediction is finite, see `expect_finite`."""
        self.expect_finite("The prediction of the network", x, _BAD_PREDICTION)

    def expect_finite(self, what: str, state: Any, remedy: str) -> None:
        """
        Expects that a state is finite.

        Raises:
            NonFiniteError: if it is not. The update is undone.
        """
        self._verdict.expect_finite(what, state, remedy)


_BAD_PREDICTION = "Nothing was changed. Lower the learning rate or check the data."
