"""The batches of a run, each looked at before it is trained on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from phi.field import Field
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..data.batches import Batch, as_batch
from ..data.samples import Samples
from ..errors import ParameterError, UnsupportedError
from ..states import trees
from ..states.checks import check_finite
from ..text.printable import sentence
from .batch_physics import PhysicsBatch, batch_sizes, with_physics

Data = Callable[[int], Iterator[Any]]
REMEDY = "Give train a generator function: data(step) yields the batches of this and all following steps"


class Batches:
    """
    What `data` yields from a step on.

    Args:
        data: As `train` takes it.
        step: Number of the first step.
        physics: That of the run, for batches that have none of their own.

    Raises:
        ParameterError: if `data` is no function of a step, or does not return an iterator; the message says how to make
            one of it.
    """

    def __init__(self, data: Data, step: int, physics: InvertiblePhysics) -> None:
        _check_function(data)
        self._data, self._physics = data, physics
        self._found: Iterator[Any] = iter(())
        self.open(step)

    def open(self, step: int) -> None:
        """Begins anew at another step."""
        self.close()
        self._found = _iterator(self._data(step))

    def next(self) -> PhysicsBatch | None:
        """
        Returns the next batch; `None` at the end of the data.

        Raises:
            ParameterError: if it is something else.
        """
        for item in self._found:
            return checked(as_batch(item), self._physics, "data(step) yielded")
        return None

    def close(self) -> None:
        """Ends the threads of what makes data ahead."""
        found, self._found = self._found, iter(())
        close = getattr(found, "close", None)
        if callable(close):
            close()


def held_out(validation: Any, physics: InvertiblePhysics) -> list[PhysicsBatch]:
    """
    Returns the batches to validate with, each with its physics.

    Args:
        validation: As `train` takes it.
        physics: That of the run.

    Raises:
        ParameterError: if there is something else among them, or nothing, or true states or physics of other samples.
        NonFiniteError: if they hold NaN or infinity.
    """
    if validation is None:
        return []
    if isinstance(validation, list) and not validation:
        raise ParameterError("train: validation is an empty list. Give a batch or several, or leave it out.")
    found = [as_batch(item) for item in (validation if isinstance(validation, list) else [validation])]
    return [_complete(checked(batch, physics, "validation holds")) for batch in found]


def _complete(batch: PhysicsBatch) -> PhysicsBatch:
    """Returns a batch that can be validated with, as far as is known before the network is."""
    remedy = "Remove or repair these samples before training."
    check_finite("y* of the validation", batch.y_target, remedy)
    if batch.x_true is None:
        return batch
    check_finite("x_true of the validation", batch.x_true, remedy)
    sizes, others = batch_sizes(batch.y_target), batch_sizes(batch.x_true)
    differing = [name for name in sizes if sizes[name] != others.get(name, sizes[name])]
    if differing:
        raise ParameterError(
            f"train: a batch of validation has {trees.describe(batch.y_target)} as y*, but "
            f"{trees.describe(batch.x_true)} as x_true: '{', '.join(differing)}' has two sizes. Give each observation "
            f"its own true state."
        )
    return batch


def checked(batch: Batch, physics: InvertiblePhysics, where: str) -> PhysicsBatch:
    """
    Returns a batch whose parts are states, and which says which physics made it.

    Raises:
        ParameterError: if y* or the true state is something else, or its physics is no such one; its message begins
            with `where`.
    """
    _check_state(batch.y_target, where, "observations y*")
    if batch.x_true is not None:
        _check_state(batch.x_true, where, "true states x")
    return with_physics(batch, physics, where)


def _check_state(state: Any, where: str, what: str) -> None:
    remedy = "Each batch is a Batch(y_target, x_true), a pair (y*, x_true), or y* alone, of Fields and phiml Tensors."
    if isinstance(state, (Iterator, Batch)) or callable(state):
        raise ParameterError(f"{where} a {type(state).__name__} in place of {what}. {remedy} {_unwrapped(state)}")
    if not isinstance(state, (bool, int, float, complex, np.generic)):
        try:
            leaves = trees.leaves(state)
            if any(size == 0 for leaf in leaves for size in leaf.shape.sizes):
                raise ParameterError(
                    f"{where} {what} without any values: {trees.describe(state)}. Give at least one sample, and leave "
                    f"out batches that are empty."
                )
            if leaves:
                return
        except UnsupportedError as error:
            raise ParameterError(f"{where} a {type(state).__name__} in place of {what}: {error} {remedy}") from error
    raise ParameterError(f"{where} {state!r} in place of {what}. {remedy}")


def _unwrapped(state: Any) -> str:
    if isinstance(state, Iterator):
        return "A generator function is given to train as it is, without by_step."
    return "It must not be wrapped." if isinstance(state, Batch) else "Call the function, and yield what it returns."


def _check_function(data: Any) -> None:
    if isinstance(data, Samples):
        raise ParameterError(f"train: data are Samples, which make one batch. {REMEDY}: by_step(samples).")
    if not callable(data):
        raise ParameterError(
            f"train: data is a {type(data).__name__}, but a run that goes on must be able to begin at any step. "
            f"{REMEDY}, e.g. by_step(make), where make(step) returns the batch of one step.{_of_files(data)}"
        )
    try:
        inspect.signature(data).bind(1)
    except TypeError as error:
        raise ParameterError(
            f"train: data cannot be called with the number of a step: {sentence(error)} {REMEDY}, from 1: "
            f"def data(step): ..."
        ) from error
    except ValueError:  # of functions that do not tell
        return


def _of_files(data: Any) -> str:
    return " Of files, give data.training." if callable(getattr(data, "training", None)) else ""


def _iterator(found: Any) -> Iterator[Any]:
    if isinstance(found, Iterator):
        return found
    if isinstance(found, list) and found and all(isinstance(item, Batch) for item in found):
        return iter(found)
    if _is_one_batch(found) or not isinstance(found, Iterable):
        raise ParameterError(
            f"train: data(step) returned a {type(found).__name__}, which is one batch or none, in place of an iterator "
            f"over batches. {REMEDY}. Make one of a function that returns the batch of a step: by_step(make)."
        )
    return iter(found)


def _is_one_batch(found: Any) -> bool:
    states = (Field, Tensor, tuple, list, Mapping, str, bytes)
    return isinstance(found, states) or hasattr(found, "shape")
