"""What the user must say about a grid because its file does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ParameterError
from .domain import Bounds

BOUNDARY, COMPONENTS = "boundary", "components"
EXAMPLES = {BOUNDARY: "'periodic', or one per axis: 'x=periodic,y=zero-gradient'", COMPONENTS: "['x', 'y']"}


def check_understood(unread: Mapping[str, str], **given: Any) -> None:
    """
    Checks that the user gives each attribute for which the file has a text without a meaning here.

    Args:
        unread: The text of the file by the name of the attribute: boundary or components.
        **given: What the user gives, by the same names.

    Raises:
        ParameterError: if one is `None`.
    """
    for name, said in unread.items():
        if given[name] is None:
            raise ParameterError(
                f"The file says {name} = {said}, which has no meaning here. Give {name}= (--{name} in commands), "
                f"e.g. {EXAMPLES[name]}."
            )


def check_bounds_known(axes: Sequence[str], resolution: Sequence[int], bounds: Mapping[str, Bounds]) -> None:
    """
    Checks that the bounds of all axes are known.

    Raises:
        ParameterError: if they are not.
    """
    unknown = [axis for axis in axes if axis not in bounds]
    if unknown:
        cells = dict(zip(axes, resolution, strict=True))
        lengths = ", ".join(f"'{axis}': {cells[axis]}" for axis in unknown)
        raise ParameterError(
            f"Nothing says how long the grid is along {', '.join(unknown)}. Give size=, the length of the domain "
            f"by axis (--size in commands); for cells of length 1 it is size={{{lengths}}}."
        )


def known_boundary(boundary: str | None) -> str:
    """
    Returns the boundary.

    Raises:
        ParameterError: if it is `None`.
    """
    if boundary is None:
        raise ParameterError(
            "Nothing says what holds at the sides of the grid. Give boundary= (--boundary in commands), e.g. "
            "'periodic', 'zero-gradient' or 'zero', or one per axis: 'x=periodic,y=zero-gradient'."
        )
    return boundary
