"""What is trained: a network, the physics that it learns to invert, and how one update is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.training_state import TrainingState
from ..contract.update import SipUpdate, UpdateRequest
from ..data.batches import Batch
from ..step.predict_state import state_prediction
from ..step.prediction import first_prediction
from ..step.simulation import simulates
from ..step.update import sip_update_weights
from ..teacher import Teacher


@dataclass(frozen=True)
class TrainingTask:
    """
    A network and its optimizer, and what they are trained for.

    Attributes:
        state: Network and optimizer.
        physics: The process that made the observations.
        predict: Maps y* to x in place of the network, see `sip_update_weights`.
        solver: The numerical inverse, if it is not the physics' own.
        options: Other arguments of `sip_update_weights`.
        inputs: What the network is shown.
        teacher: That of the network, if it has one.
    """

    state: TrainingState
    physics: InvertiblePhysics
    predict: Callable[[Any], Any] | None
    solver: InverseSolver | None
    options: Mapping[str, Any]
    inputs: tuple[NetworkInput, ...] = ()
    teacher: Teacher | None = None

    def update(self, batch: Batch) -> SipUpdate:
        """Makes one update of the weights."""
        is_compared = self.teacher is None or not simulates(self.options["targets"])
        return sip_update_weights(
            self.state.net,
            self.state.optimizer,
            self.physics,
            batch.y_target,
            x_true=batch.x_true if is_compared else None,
            predict=self.predict,
            solver=self.solver,
            inputs=self.inputs or None,
            teacher=self.teacher,
            **self.options,
        )

    def prepare(self, y_target: Any) -> None:
        """Makes all variables that are made late, so that saved ones can be put back."""
        trainable = self.state.trainable
        request = UpdateRequest(self.physics, y_target, self.predict, inputs=self.inputs)
        trainable.prepare(first_prediction(trainable, request))

    def evaluation(self, y_target: Any) -> Callable[[], Any]:
        """Returns what computes x for these observations, as the network is used for inference, whenever called."""
        inputs = self.inputs or None
        with self._answering():
            compute = state_prediction(self.state.net, self.physics, y_target, inputs=inputs, predict=self.predict)

        def evaluate() -> Any:
            with self._answering():
                return compute()

        return evaluate

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """The network is used for inference within, with the weights of its teacher, if it has one."""
        with self.state.evaluating(), nullcontext() if self.teacher is None else self.teacher.answering():
            yield
