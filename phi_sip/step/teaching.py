"""An update with a teacher: the average of the weights, and what that has simulated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from phiml import math

from ..contract.target import SimulatingTarget, TrainingTarget
from ..contract.trainable import Trainable
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import ParameterError, UnsupportedError
from ..states import trees
from ..states.workers import failing_together, working_together
from ..targets import Labels
from ..teacher import Replayed, Teacher
from .compiled import computed
from .micro_batches import split
from .random_numbers import drawn
from .simulation import Simulation, simulates


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
    draws = drawn(target, trainable, request.physics, request.y_target)
    real = replace(request, targets=target, draws=draws, x_true=None, micro_batches=1)
    with teacher.answering():
        made = computed(Simulation(is_taught), trainable, real)
    return Replayed(request.physics, made.y, made.x, tuple(made.seen))


def _copies(batch: Replayed, dim: str | None) -> Sequence[Replayed]:
    """Returns the batches of which one consists along a dim."""
    if dim is None:
        return [batch]
    shape = math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(batch.y)))

    def of(i: int) -> Replayed:
        return batch.map(lambda state: trees.tree_map(lambda tensor: tensor[{dim: i}], state))

    return [of(i) for i in range(shape.get_size(dim))]
