"""Files of PhiFlow: those that `field.write` makes, and those of its scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import FileError
from .arrays import GridArray
from .boundaries import NAMED, word_of_value, words_of_sides
from .dims import BATCH, CHANNEL, renamed
from .named import named
from .npz_archive import Archive

TYPE, BOUNDARY = "field_type", "extrapolation"
KEYS = {
    *(TYPE, BOUNDARY, "dim_names", "dim_types", "dim_item_names", "lower", "upper", "bounds_item_names", "data"),
}
KINDS = {"batch": BATCH, "channel": CHANNEL}  # names here of those types of dims that PhiFlow lets the user name
WORDLESS = "varying, or unknown"
SYNONYMS = {"boundary": "zero-gradient", "∇=0": "zero-gradient", "one": "1.0"}


def read(archive: Archive, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    """Returns the grid of a file; arguments are those of `read_grid`."""
    missing, unknown = KEYS - set(archive.names), set(archive.names) - KEYS
    if BOUNDARY in missing or (missing and unknown):  # older versions wrote fewer arrays, but no others
        raise FileError(f"It is damaged: {', '.join(sorted(missing))} is missing.")
    kind = str(archive.short(TYPE))
    if kind != "CenteredGrid":
        raise FileError(f"It holds a {kind}. Write centered grids.")
    if variable is not None:
        raise FileError(f"A file of PhiFlow holds one field without a name, but '{variable}' was asked for.")
    own, kinds = (list(map(str, archive.short(key))) for key in ("dim_names", "dim_types"))
    usual = tuple(KINDS.get(kind, name) for name, kind in zip(own, kinds, strict=True))
    names = renamed(own, dims or usual)
    new = dict(zip(own, names, strict=True))
    axes = [name for name, kind in zip(own, kinds, strict=True) if kind == "spatial"]
    return named(
        archive.stored("data").values(names.index(BATCH) if BATCH in names else None),
        names,
        {new[axis]: pair for axis, pair in _bounds(archive, axes).items()},
        new,
        boundary=_boundary(archive),
        components=_components(archive, usual),
    )


def _bounds(archive: Archive, axes: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Returns the bounds by axis. PhiFlow keeps them in an order of their own, and says in which."""
    order = list(axes)
    if "bounds_item_names" in archive.names:
        try:
            order = [str(name) for name in np.ravel(archive.short("bounds_item_names"))]
        except ValueError:  # the array holds None, as they have no names
            order = list(axes)
    if set(order) != set(axes):
        raise FileError(f"Its bounds are those of {', '.join(order)}, but its axes are {', '.join(axes)}.")
    lower, upper = (
        map(float, np.broadcast_to(np.ravel(archive.short(name)), len(order))) for name in ("lower", "upper")
    )
    return {axis: (low, high) for axis, low, high in zip(order, lower, upper, strict=True)}


def _components(archive: Archive, dims: Sequence[str]) -> list[str] | None:
    if CHANNEL not in dims or "dim_item_names" not in archive.names:
        return None
    names = archive.plain("dim_item_names")
    if not isinstance(names, (list, tuple)) or len(names) != len(dims):
        raise FileError("Its names of components do not fit its dims.")
    found = names[dims.index(CHANNEL)]
    return None if found is None else [str(name) for name in found]


def _boundary(archive: Archive) -> str:
    """Returns the words of the boundary. If it has none, the user must give it: `WORDLESS` is no boundary."""
    try:
        return _words(archive.plain(BOUNDARY)) or WORDLESS
    except FileError:  # it is no plain data
        return WORDLESS


def _words(extrapolation: Any) -> str | None:
    if not isinstance(extrapolation, Mapping):
        return None
    sides = extrapolation.get("dims")
    if not isinstance(sides, Mapping):
        return _word(extrapolation)
    found: dict[str, str | None] = {}
    for side, part in sides.items():
        pair = isinstance(part, (list, tuple)) and len(part) == 2  # until PhiML 1.3
        found |= {side + "-": _word(part[0]), side + "+": _word(part[1])} if pair else {side: _word(part)}
    return words_of_sides(found)


def _word(extrapolation: Any) -> str | None:
    if not isinstance(extrapolation, Mapping):
        return None
    kind = str(extrapolation.get("type"))
    if kind == "constant":
        return word_of_value(extrapolation.get("value"))
    word = SYNONYMS.get(kind, kind)
    return word if word in NAMED or kind in SYNONYMS else None
