"""What holds at each side of a grid: PhiFlow's boundaries as the three that have a basis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from phiml import math
from phiml.math import extrapolation
from phiml.math.extrapolation import ConstantExtrapolation, Extrapolation

from ..errors import BoundaryError


@dataclass(frozen=True)
class Periodic:
    """The side is joined to the opposite one."""


@dataclass(frozen=True)
class Insulated:
    """∂u/∂n = 0 at the outer faces."""


@dataclass(frozen=True)
class Fixed:
    """u = value at the outer faces."""

    value: float


Side = Periodic | Insulated | Fixed


def sides_of(boundary: Extrapolation, axis: str) -> tuple[Side, Side]:
    """
    Returns the lower and the upper side of `axis`.

    Args:
        boundary: `Field.boundary`: one extrapolation for all sides, or one per axis or side.
        axis: Name of a spatial dim.

    Raises:
        BoundaryError: if a side is neither periodic, nor insulated, nor fixed to a number, or if only one of the two
            is periodic.
    """
    by_name = getattr(boundary, "ext", {})
    whole_axis = by_name.get(axis, boundary)
    lower, upper = (_side(by_name.get(axis + end, whole_axis), axis + end) for end in "-+")
    if isinstance(lower, Periodic) != isinstance(upper, Periodic):
        raise BoundaryError(
            f"Boundary {boundary} is periodic at one side of axis '{axis}' only, but what leaves there must enter at "
            f"the other. Give both sides of '{axis}' extrapolation.PERIODIC, or neither."
        )
    return lower, upper


def _fixed(boundary: ConstantExtrapolation, where: str) -> Fixed:
    value = boundary.value
    if value.shape or not value.available or not bool(math.is_finite(value)):
        raise BoundaryError(
            f"The boundary value at '{where}' is {value}, but a side is held at one finite number, the same for all "
            f"batch entries and components. Give a number, and split fields whose components or samples differ in it."
        )
    return Fixed(float(value))


# A grid whose outermost cells are mirrored at the faces (SYMMETRIC) has no gradient there: it is insulated.
_SIDES: dict[type[Extrapolation], Callable[[Extrapolation, str], Side]] = {
    type(extrapolation.PERIODIC): lambda boundary, where: Periodic(),
    type(extrapolation.ZERO_GRADIENT): lambda boundary, where: Insulated(),
    type(extrapolation.SYMMETRIC): lambda boundary, where: Insulated(),
    ConstantExtrapolation: _fixed,
}


def _side(boundary: Extrapolation, where: str) -> Side:
    if type(boundary) not in _SIDES:
        raise BoundaryError(
            f"Boundary '{boundary}' at '{where}' has no basis here. Create the grid with "
            f"extrapolation.PERIODIC, ZERO_GRADIENT (insulated), or a number (fixed value); per axis and side as "
            f"boundary={{'x': extrapolation.PERIODIC, 'y': (0, extrapolation.ZERO_GRADIENT)}}."
        )
    return _SIDES[type(boundary)](boundary, where)
