"""Parameters of physics that differ from cell to cell."""

from __future__ import annotations

from numbers import Real
from typing import Any

from phi.field import Field
from phiml import math
from phiml.math import Tensor

from ..errors import GridMismatchError, ParameterError, UnsupportedError
from ..states import trees
from ..states.checks import check_same_cells


def check_on_cells(owner: str, name: str, value: Any, *, positive: bool = False) -> None:
    """
    Checks a parameter: a finite number, or a `Tensor` or `Field` of such.

    Args:
        owner: Name of the physics, for messages.
        name: Name of the parameter.
        value: What was given.
        positive: Whether it must be > 0.

    Raises:
        UnsupportedError: if it is of another type.
        ParameterError: if it is not finite, or not positive, somewhere.
    """
    if isinstance(value, bool) or not isinstance(value, (Real, Tensor, Field)):
        raise UnsupportedError(
            f"{owner}: {name} is a {type(value).__name__}. Give a number, or a Tensor or Field on the cells of x."
        )
    tensor = _tensor(value)
    if not tensor.available:
        return
    with math.precision(64):
        finite, least = bool(math.is_finite(tensor).all), float(math.min(tensor, tensor.shape))
    if not finite:
        raise ParameterError(f"{owner}: {name} is not finite everywhere. Check how it was computed.")
    if positive and least <= 0:
        raise ParameterError(
            f"{owner}: {name} is {least:g} somewhere, but must be > 0. Check its sign and units; give a small positive "
            f"number where nothing is to pass."
        )


def on_cells(owner: str, name: str, value: Any, x: Field) -> Tensor:
    """
    Returns the values of a parameter for the cells of a field, in its precision and framework.

    Args:
        owner: Name of the physics, for messages.
        name: Name of the parameter.
        value: A number, or a `Tensor` or `Field` with the axes of x, or some of them; batch dims allowed.
        x: State of the physics, on a centered grid.

    Raises:
        GridMismatchError: if it has other dims than x, or other sizes.
    """
    check_same_cells(owner, name, value, x)
    tensor = _tensor(value)
    cells = x.resolution
    if any(n not in cells or tensor.shape.get_size(n) != cells.get_size(n) for n in tensor.shape.non_batch.names):
        raise GridMismatchError(
            f"{owner}: {name} has the dims {tensor.shape.non_batch}, x has {cells}. Give it on the cells of x, without "
            f"other dims than those of the batch."
        )
    return math.convert(math.cast(tensor, math.DType(float, trees.precision_of(x))), x.values.default_backend)


def _tensor(value: Any) -> Tensor:
    return value.values if isinstance(value, Field) else math.wrap(value)
