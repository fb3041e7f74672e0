"""The names of the components of a vector-valued grid, and their order."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import FileError, ParameterError
from .dims import CHANNEL, axes_in


def check_components(names: Sequence[str], dims: Sequence[str], shape: Sequence[int]) -> None:
    """
    Checks that each component of an array has exactly one name.

    Raises:
        FileError: if it has not.
    """
    count = shape[dims.index(CHANNEL)] if CHANNEL in dims else 0
    if len(names) != count or len(set(names)) != count or not all(isinstance(n, str) and n for n in names):
        raise FileError(
            f"The components are called {', '.join(map(str, names)) or 'nothing'}, but there are {count}. Each needs a "
            f"name of its own."
        )


def completed_components(
    given: Sequence[str] | None, known: tuple[str, ...] | None, dims: Sequence[str], shape: Sequence[int]
) -> tuple[str, ...] | None:
    """
    Returns the names that the user gives, or those that the file knows if the user gives none.

    Raises:
        ParameterError: if the given names do not fit the array, or the file has others.
    """
    if given is None:
        return known
    names = tuple(given)
    try:
        check_components(names, dims, shape)
    except FileError as error:
        raise ParameterError(f"components = {','.join(names)}: {error}") from error
    if known not in (None, names):
        raise ParameterError(
            f"components = {','.join(names)}, but the file says {','.join(known or ())}. Leave it out, or correct the "
            f"file."
        )
    return names


def components_along_axes(known: tuple[str, ...] | None, dims: Sequence[str], count: int) -> list[int] | None:
    """
    Returns the places of the components along x, y, z, in this order; `None` if the components are not those along the
    axes. As many components as axes that have no names are taken for those along x, y, z.

    Raises:
        ParameterError: if components without names could be in the order of the dims or in that of x, y, z.
    """
    axes = axes_in(dims)
    if known is not None:
        return [known.index(axis) for axis in sorted(axes)] if set(known) == set(axes) else None
    if count != len(axes):
        return None
    if axes != tuple(sorted(axes)):
        raise ParameterError(
            f"Nothing says which component is along which axis: the dims are {', '.join(dims)}. Give their names in "
            f"order, components={list(axes)!r} or {sorted(axes)!r} (--components in commands)."
        )
    return list(range(count))
