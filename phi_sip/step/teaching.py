"""An update with a teacher: the average of the weights, and what that has simulated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from phiml import math

from ..contract.inputs import Observed
from ..contract.target import SimulatingTarget, TargetContext, TrainingTarget
from ..contract.trainable import Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import ParameterError, UnsupportedError
from ..frameworks import framework_for
from ..inversion.observed import InvertedObservation
from ..states import trees
from ..states.checks import check_finite
from ..states.workers import failing_together, working_together
from ..targets import Labels
from ..teacher import Replayed, Teacher
from .micro_batches import split
from .prediction import BAD_SAMPLES, prediction, shown_to_network
from .random_numbers import drawn

SIMULATED = "Nothing was changed. The states that are simulated grow: lower the learning rate, or bias_correction."


def simulates(target: TrainingTarget | None) -> TypeGuard[SimulatingTarget]:
    """Tells whether an update with a teacher is made with observations that were simulated before."""
    return isinstance(target, SimulatingTarget)


def check_teacher(teacher: Any, trainable: Trainable, target: TrainingTarget | None, x_true: Any) -> None:
    """
    Checks that an update can be made with a teacher.

    Raises:
        UnsupportedError: if it is no `Teacher`, or the update is part of a graph of the user.
        ParameterError: if it is that of another network, or true states are given that nothing is compared with.
    """
    if not isinstance(teacher, Teacher):
        raise UnsupportedError(f"teacher is a {type(teacher).__name__}. Give Teacher(net).")
    teacher.check(trainable.net)
    if trainable.is_traced:
        raise UnsupportedError(
            "teacher=... was given within a graph or a strategy of TensorFlow, in which its average could not be kept. "
            "Call sip_update_weights outside: it compiles itself. A network that a strategy trains has no teacher."
        )
    if simulates(target) and x_true is not None:
        raise ParameterError(
            f"x_true has no effect with {type(target).__name__} and a teacher: the network is shown simulated "
            f"observations, whose states are known. Leave it out, and compare predict_state with it."
        )


def taught_update(
    trainable: Trainable,
    request: UpdateRequest,
    teacher: Teacher,
    update: Callable[[Trainable, UpdateRequest], SipUpdate],
) -> SipUpdate:
    """
    Makes an update with a teacher, which follows it.

    Args:
        trainable: Network and optimizer.
        request: What is asked for.
        teacher: That of the network.
        update: Makes an update.
    """
    target, made = request.targets, None
    with teacher.undone_unless(lambda: made is not None and bool(made.applied)):
        if simulates(target):
            of_simulated = _of_simulated(trainable, request, target.with_teacher(), teacher)
            made = replace(update(trainable, of_simulated), x_l2=None)
        else:
            made = update(trainable, request)
    if bool(made.applied):
        teacher.average.follow()
    return made


def _of_simulated(
    trainable: Trainable, request: UpdateRequest, target: SimulatingTarget, teacher: Teacher
) -> UpdateRequest:
    """Returns the request with observations that the teacher has simulated, whose states are the labels."""
    request.check_uses((*target.uses, "compile", "targets"), type(target).__name__)

    def make(is_taught: bool) -> Sequence[Replayed]:
        return _copies(_simulated(trainable, request, target, teacher, is_taught), target.copied_along)

    split(request)  # refuses what cannot be divided, before anything is simulated
    with working_together(trainable.workers), failing_together():
        batch = teacher.next_batch(make, target.batches, target.replays, trainable.backend)
    y = trees.in_order_of(batch.y, request.y_target)
    return replace(
        request, physics=batch.physics, y_target=y, x_true=batch.x, seen=batch.seen or None, targets=Labels()
    )


def _simulated(
    trainable: Trainable, request: UpdateRequest, target: SimulatingTarget, teacher: Teacher, is_taught: bool
) -> Replayed:
    """Simulates a batch of observations."""
    framework, physics = framework_for(trainable.net), request.physics
    check_finite("y_target", request.y_target, BAD_SAMPLES)
    draws = trees.to_backend(drawn(target, trainable, physics, request.y_target), trainable.backend)
    call = framework.evaluation(trainable.net)

    def observe(y: Any) -> Observed:
        return InvertedObservation(physics, y)

    def evaluate(observed: Observed) -> Any:
        return trees.stop_gradient(prediction(call, observed, request.inputs, request.predict)())

    precision = trees.precision_of(request.y_target)
    with teacher.answering(), framework.evaluating(trainable.net), trainable.backend, math.precision(precision):
        observed = observe(trees.to_backend(request.y_target, trainable.backend))
        context = TargetContext(observed, None, 1.0, None, evaluate, observe, draws, is_taught)
        shown, states = target.simulate(context)
        seen = shown_to_network(shown, request.inputs)
        check_finite("What the teacher has simulated", (shown.y_target, states), SIMULATED)
    return Replayed(physics, shown.y_target, states, tuple(seen))


def _copies(batch: Replayed, dim: str | None) -> Sequence[Replayed]:
    """Returns the batches of which one consists along a dim."""
    if dim is None:
        return [batch]
    shape = math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(batch.y)))

    def of(i: int) -> Replayed:
        return batch.map(lambda state: trees.tree_map(lambda tensor: tensor[{dim: i}], state))

    return [of(i) for i in range(shape.get_size(dim))]
