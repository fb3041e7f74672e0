"""The names that the dims of a grid can have in files."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import FileError

AXES = ("x", "y", "z")
BATCH, CHANNEL = "batch", "vector"


def axes_in(dims: Sequence[str]) -> tuple[str, ...]:
    """Returns the axes among `dims`, in the order of `dims`."""
    return tuple(dim for dim in dims if dim in AXES)


def check_dims(dims: Sequence[str], shape: Sequence[int]) -> None:
    """
    Checks that `dims` can be the dims of a grid of this shape.

    Raises:
        FileError: if a name is unknown or occurs twice, there is no axis, or the shape does not fit.
    """
    unknown = [dim for dim in dims if dim not in (BATCH, *AXES, CHANNEL)]
    if unknown or len(set(dims)) != len(dims) or not axes_in(dims):
        raise FileError(
            f"The dims are {', '.join(dims) or 'none'}. Give each of batch, x, y, z, vector at most once, "
            f"and at least one axis: --dims says in a file which is which, e.g. --dims batch,y,x."
        )
    if len(shape) != len(dims) or 0 in shape:
        raise FileError(f"An array of the shape {tuple(shape)} cannot have the dims {', '.join(dims)}.")


def usual_dims(rank: int) -> tuple[str, ...]:
    """
    Returns the dims batch, x, … of an array of which nothing but its rank is known.

    Raises:
        FileError: if a batch of grids cannot have this rank.
    """
    if not 2 <= rank <= 4:
        raise FileError(f"An array of rank {rank} is no batch of grids. Say which dims it has, e.g. --dims x,y.")
    return (BATCH, *AXES[: rank - 1])


def renamed(own: Sequence[str], dims: Sequence[str] | None) -> tuple[str, ...]:
    """
    Returns `dims`, the names that the user gives in place of those of the file, or `own` if the user gives none.

    Raises:
        FileError: if the two differ in number.
    """
    names = tuple(dims or own)
    if len(names) != len(own):
        raise FileError(f"Its dims are {', '.join(own)}, which cannot be called {', '.join(names)}.")
    return names
