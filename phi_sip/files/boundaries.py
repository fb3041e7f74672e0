"""Boundaries in words, as files, commands and experiments hold them."""

from __future__ import annotations

import math as numbers
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from phiml.math import extrapolation
from phiml.math.extrapolation import ConstantExtrapolation, Extrapolation

from ..errors import ParameterError

NAMED: dict[str, Extrapolation] = {
    "periodic": extrapolation.PERIODIC,
    "zero-gradient": extrapolation.ZERO_GRADIENT,
    "zero": extrapolation.ZERO,
    "symmetric": extrapolation.SYMMETRIC,
    "antisymmetric": extrapolation.ANTISYMMETRIC,
    "reflect": extrapolation.REFLECT,
    "antireflect": extrapolation.ANTIREFLECT,
}
LOWER, UPPER = ENDS = "-+"
SAYS = re.compile(  # also of one axis: `x_boundary`, `bc_y`
    r"(?:(?P<before>[xyz])[ _-]*)?(?:boundar(?:y|ies)|bcs?)"
    r"(?:[ _-]*(?:conditions?|types?))?(?:[ _-]*(?P<after>[xyz]))?",
    re.IGNORECASE,
)
EXAMPLES = f"{', '.join(NAMED)}, a number (a fixed value), or one of these per axis or side: 'x=periodic,y-=0,y+=2.5'"


def says_boundary(name: str) -> bool:
    """Whether a name is that of boundaries: `boundary`, `Boundary`, `boundary_conditions`, `bc_x`, …"""
    return SAYS.fullmatch(name) is not None


def stated(about: Mapping[str, Any]) -> Any:
    """
    The boundary in what is said about an array: a word, a number, or what neither is; `None` if nothing is said.

    Args:
        about: By name. What has the name of an axis is of that axis.
    """
    found: dict[str, Any] = {}
    for name, value in about.items():
        match = SAYS.fullmatch(name)
        plain = _plain(value)
        if match and plain is not None and plain != "":
            axis = (match["before"] or match["after"] or "").lower()
            found[axis] = plain if found.get(axis, plain) == plain else (found[axis], plain)
    if set(found) <= {""}:
        return found.get("")
    return ",".join(f"{axis}={value}" if axis else str(value) for axis, value in found.items())


def _plain(value: Any) -> Any:
    """A word, or the word of a number, where it is one; else as it is."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if value is None or isinstance(value, str):
        return value
    found = value.tolist() if isinstance(value, np.ndarray) else value
    return found if isinstance(found, (list, tuple, dict)) else word_of_value(found) or found


def boundary_of(words: str) -> Extrapolation:
    """
    PhiFlow's boundary of words.

    Args:
        words: `periodic`, `zero-gradient`, `zero`, `symmetric`, `antisymmetric`, `reflect`, `antireflect`, or a number
            for a fixed value; or one of these for each axis or side, separated by commas: `x=periodic,y-=0,y+=2.5`.

    Raises:
        ParameterError: if they are no boundary.
    """
    sides = _sides(words)
    return _one(sides[""]) if "" in sides else extrapolation.combine_sides({s: _one(w) for s, w in sides.items()})


def words_of(boundary: Any) -> str | None:
    """The words of a boundary of PhiFlow, the same for the same boundary; `None` where it has none."""
    sides = getattr(boundary, "ext", None)
    if sides is None:
        return _word_of(boundary)
    return words_of_sides({side: _word_of(part) for side, part in sides.items()})


def words_of_sides(sides: Mapping[str, str | None]) -> str | None:
    """The words of a boundary that is given by axis, `x`, or side, `x-` and `x+`; `None` if a side has none."""
    axes = sorted({side.rstrip(LOWER + UPPER) for side in sides})
    found: dict[str, str] = {}
    for axis in axes:
        lower, upper = (sides.get(axis + end, sides.get(axis)) for end in ENDS)
        if lower is None or upper is None:
            return None
        found |= {axis: lower} if lower == upper else {axis + LOWER: lower, axis + UPPER: upper}
    return ",".join(f"{side}={word}" for side, word in found.items()) or None


def in_words(boundary: Any) -> str:
    """
    The words of what PhiFlow takes for a boundary: an extrapolation, a number, or a dict by axis; or these words.

    Raises:
        ParameterError: if it is no boundary, or one without words.
    """
    if isinstance(boundary, str):
        return boundary
    try:
        words = words_of(extrapolation.as_extrapolation(boundary))
    except Exception as error:  # whatever PhiML does with what is none
        raise ParameterError(f"boundary = {boundary!r}, but it must be {EXAMPLES}.") from error
    if words is None:
        raise ParameterError(f"boundary = {boundary}, but it must be {EXAMPLES}.")
    return words


def fitting(words: str, axes: Mapping[str, str]) -> str:
    """
    The same boundary in its usual words, of renamed axes.

    Args:
        words: See `boundary_of`.
        axes: New name of each axis of the grid.

    Raises:
        ParameterError: if they are no boundary, or leave out an axis of the grid, or name another.
    """
    sides = _sides(words)
    if "" in sides:
        return str(words_of(_one(sides[""])))
    if {side.rstrip(LOWER + UPPER) for side in sides} != set(axes):
        raise ParameterError(
            f"boundary = '{words}' does not say what holds on each of the axes {', '.join(axes)}. Name all of them, "
            f"and no other: '{','.join(f'{axis}=periodic' for axis in axes)}'."
        )
    ends = {side: side.rstrip(LOWER + UPPER) for side in sides}
    return str(words_of_sides({axes[ends[s]] + s[len(ends[s]) :]: words_of(_one(word)) for s, word in sides.items()}))


def _sides(words: str) -> dict[str, str]:
    """By axis or side; a single boundary has the key ''."""
    if "=" not in words:
        return {"": words.strip()}
    sides: dict[str, str] = {}
    for part in words.split(","):
        side, _, word = (text.strip() for text in part.partition("="))
        if side in sides:
            raise ParameterError(f"boundary = '{words}' says twice what holds at '{side}'. Remove one.")
        sides[side] = word
    for axis in {side.rstrip(LOWER + UPPER) for side in sides}:
        given = {side for side in sides if side.rstrip(LOWER + UPPER) == axis}
        if given not in ({axis}, {axis + LOWER, axis + UPPER}):
            raise ParameterError(
                f"boundary = '{words}', but an axis is given as '{axis}=', or by both of its sides, '{axis}-=' and "
                f"'{axis}+='."
            )
    return sides


def _one(word: str) -> Extrapolation:
    usual = re.sub(r"[\s_]+", "-", word.strip().lower())
    if usual in NAMED:
        return NAMED[usual]
    try:
        value = float(word)
    except ValueError:
        value = numbers.nan
    if not numbers.isfinite(value):
        raise ParameterError(f"boundary = '{word}', but it must be {EXAMPLES}.")
    return ConstantExtrapolation(value) if value else NAMED["zero"]


def _word_of(boundary: Any) -> str | None:
    found = next((name for name, known in NAMED.items() if type(known) is type(boundary) and known == boundary), None)
    if found is not None or not isinstance(boundary, ConstantExtrapolation):
        return found
    return word_of_value(boundary.value.numpy()) if boundary.value.available and not boundary.value.shape else None


def word_of_value(value: Any) -> str | None:
    """The word of a boundary that is held at a number; `None` if it is no single finite number."""
    number = np.asarray(value)
    if number.shape or number.dtype.kind not in "fiu" or not np.isfinite(number):
        return None
    exact = number if number.dtype.kind == "f" else number.astype(np.float64)
    return str(exact[()]) if value else "zero"  # as few digits as its type needs: 0.1 in single precision too
