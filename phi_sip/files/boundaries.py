"""Boundary conditions in words, as files, commands and experiments hold them."""

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
EXAMPLES = f"{', '.join(NAMED)}, a number (a fixed value), or one of these per axis or side: 'x=periodic,y-=0,y+=2.5'"


def boundary_of(words: str) -> Extrapolation:
    """
    Returns PhiFlow's boundary for words.

    Args:
        words: `periodic`, `zero-gradient`, `zero`, `symmetric`, `antisymmetric`, `reflect`, `antireflect`, or a number
            for a fixed value; or one of these for each axis or side, separated by commas: `x=periodic,y-=0,y+=2.5`.

    Raises:
        ParameterError: if the words are no boundary.
    """
    sides = _sides(words)
    return _one(sides[""]) if "" in sides else extrapolation.combine_sides({s: _one(w) for s, w in sides.items()})


def words_of(boundary: Any) -> str | None:
    """Returns the words of a boundary of PhiFlow; equal boundaries have equal words. `None`: it has no words."""
    sides = getattr(boundary, "ext", None)
    if sides is None:
        return _word_of(boundary)
    return words_of_sides({side: _word_of(part) for side, part in sides.items()})


def words_of_sides(sides: Mapping[str, str | None]) -> str | None:
    """Returns the words of a boundary that is given by axis `x`, or side `x-`, `x+`; `None` if a side has no words."""
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
    Returns the words of what PhiFlow takes for a boundary: an extrapolation, a number, or a dict by axis. Words are
    returned as they are.

    Raises:
        ParameterError: if it is no boundary, or a boundary that has no words.
    """
    if isinstance(boundary, str):
        return boundary
    try:
        words = words_of(extrapolation.as_extrapolation(boundary))
    except Exception as error:  # PhiML raises errors of many types
        raise ParameterError(f"boundary = {boundary!r}, but it must be {EXAMPLES}.") from error
    if words is None:
        raise ParameterError(f"boundary = {boundary}, but it must be {EXAMPLES}.")
    return words


def fitting(words: str, axes: Mapping[str, str]) -> str:
    """
    Returns the words of the same boundary in their usual spelling, for renamed axes.

    Args:
        words: See `boundary_of`.
        axes: New name of each axis of the grid.

    Raises:
        ParameterError: if the words are no boundary, leave out an axis of the grid, or name another.
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
    """Returns the word by axis or side; one word for all sides has the key ''."""
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
    """Returns the word of a boundary with a fixed value; `None` if the value is no single finite number."""
    number = np.asarray(value)
    if number.shape or number.dtype.kind not in "fiu" or not np.isfinite(number):
        return None
    exact = number if number.dtype.kind == "f" else number.astype(np.float64)
    return str(exact[()]) if value else "zero"  # as few digits as its type needs: 0.1 in single precision too
