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
from ..errors import UnsupportedError
from ..step.predict_state import state_prediction
from ..step.prediction import first_prediction
from ..step.simulation import simulates
from ..step.update import sip_update_weights
from ..teacher import Teacher
from ..teacher.parameters import differ_in_parameters_only
from .batch_physics import PhysicsBatch


@dataclass(frozen=True)
class TrainingTask:
    """
    A network and its optimizer, and what they are trained for.

    Attributes:
        state: Network and optimizer.
        physics: The process that made the observations of batches that do not say it. All have one by now.
        predict: Maps y* to x in place of the network, see `sip_update_weights`.
        solver: The numerical inverse, if it is not the physics' own.
        options: Other arguments of `sip_update_weights`.
        inputs: What the network is shown.
        teacher: That of the network, if it has one.
    """

    state: TrainingState
    physics: InvertiblePhysics
    predict: Callable[..., Any] | None
    solver: InverseSolver | None
    options: Mapping[str, Any]
    inputs: tuple[NetworkInput, ...] = ()
    teacher: Teacher | None = None

    def update(self, batch: PhysicsBatch) -> SipUpdate:
        """Makes one update of the weights, for the physics of the batch."""
        is_compared = self.teacher is None or not simulates(self.options["targets"])
        if not is_compared and not differ_in_parameters_only(batch.physics, self.physics):
            raise UnsupportedError(
                "The physics of the batch differs from that of the run in what a function keeps, where the teacher "
                "cannot find it to save it with what it has simulated. Give it as an argument: "
                "DifferentiablePhysics(function, {'nu': nu})."
            )
        return sip_update_weights(
            self.state.net,
            self.state.optimizer,
            batch.physics,
            batch.y_target,
            x_true=batch.x_true if is_compared else None,
            predict=self.predict,
            solver=self.solver,
            inputs=self.inputs or None,
            teacher=self.teacher,
            **self.options,
        )

    def prepare(self, batch: PhysicsBatch) -> None:
        """Makes all variables that are made late, so that saved ones can be put back."""
        trainable = self.state.trainable
        request = UpdateRequest(batch.physics, batch.y_target, self.predict, inputs=self.inputs)
        trainable.prepare(first_prediction(trainable, request))

    def evaluation(self, batch: PhysicsBatch) -> Callable[[], Any]:
        """Returns what computes x for a batch, as the network is used for inference, whenever called."""
        net, inputs, predict = self.state.net, self.inputs or None, self.predict
        with self._answering():
            compute = state_prediction(net, batch.physics, batch.y_target, inputs=inputs, predict=predict)

        def evaluate() -> Any:
            with self._answering():
                return compute()

        return evaluate

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """The network is used for inference within, with the weights of its teacher, if it has one."""
        with self.state.evaluating(), nullcontext() if self.teacher is None else self.teacher.answering():
            yield
