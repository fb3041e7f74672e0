"""The physics of a batch: its own, which is of the kind of that of the run, or that of the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..compilation.inputs import batch_of
from ..contract.physics import InvertiblePhysics
from ..data.batches import Batch
from ..errors import ParameterError
from ..states import trees


class PhysicsBatch(NamedTuple):
    """
    A batch of which it is known which physics made it, see `Batch`.

    Attributes:
        y_target, x_true: Observations and true states.
        physics: The process that made them.
    """

    y_target: Any
    x_true: Any
    physics: InvertiblePhysics


def with_physics(batch: Batch, physics: InvertiblePhysics, where: str) -> PhysicsBatch:
    """
    Returns a batch that says which physics made it.

    Args:
        batch: Observations that are states.
        physics: That of the run, for batches that say nothing.
        where: Where the batch comes from, for messages.

    Raises:
        ParameterError: if the physics of the batch is none, is of another class than that of the run, or is that of
            another number of samples.
    """
    own = batch.physics
    if own is None:
        return PhysicsBatch(batch.y_target, batch.x_true, physics)
    check_own_physics(own, physics, batch.y_target, where)
    return PhysicsBatch(batch.y_target, batch.x_true, own)


def check_own_physics(own: Any, physics: InvertiblePhysics, y_target: Any, where: str) -> None:
    """
    Checks the physics of some observations.

    Args:
        own: The physics that is said to have made them.
        physics: The one whose place it takes.
        y_target: The observations.
        where: Where they come from, for messages.

    Raises:
        ParameterError: if it is no physics, or of another class, or that of another number of samples.
    """
    if not isinstance(own, InvertiblePhysics):
        raise ParameterError(
            f"{where} the physics {own!r}, which is a {type(own).__name__}. Give an object such as "
            f"HeatEquation(math.tensor(nu, batch('batch')), 8.0), or leave it out."
        )
    _check_class(own, physics, where)
    _check_samples(own, y_target, where)


def batch_sizes(state: Any) -> dict[str, int]:
    """Returns the sizes of the batch dims of a state."""
    return {name: leaf.shape.get_size(name) for leaf in trees.leaves(state) for name in leaf.shape.batch.names}


def _check_class(own: InvertiblePhysics, physics: InvertiblePhysics, where: str) -> None:
    classes = [list(_classes(item)) for item in (own, physics)]
    if classes[0] == classes[1]:
        return
    found, expected = (" of ".join(cls.__name__ for cls in row) for row in classes)
    raise ParameterError(
        f"{where} the physics {found}, but the network is trained for {expected}. Observations may have other "
        f"parameters, but must be of physics of the same class. Train on each kind of physics by itself."
    )


def _classes(physics: InvertiblePhysics) -> Iterator[type]:
    """Yields the class of a physics, and those of the physics that it consists of."""
    yield type(physics)
    for field in dataclasses.fields(physics):
        value = getattr(physics, field.name, None)
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, InvertiblePhysics):
                yield from _classes(part)


def _check_samples(own: InvertiblePhysics, y_target: Any, where: str) -> None:
    sizes, parameters = batch_sizes(y_target), batch_of(own)
    differing = [name for name in parameters.names if sizes.get(name, 1) != parameters.get_size(name)]
    if differing:
        raise ParameterError(
            f"{where} physics with parameters of {parameters}, but observations y* of {trees.describe(y_target)}: "
            f"'{', '.join(differing)}' has two sizes. Give each observation its own parameters."
        )
