"""Errors and warnings about numbers that cannot be used, with the cells and samples that hold them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..errors import FileError, FileWarning

REMEDY = (
    "Remove these samples; or put 0 there, and let the physics know which cells are observed: Masked(physics, observed)"
)
SHOWN = 8  # largest number of samples in a message


def check_numbers(values: np.ndarray, batch: int | None) -> None:
    """
    Checks that an array holds real, finite numbers.

    Args:
        values: The array.
        batch: Which dim counts samples.

    Raises:
        FileError: if it does not; the message says which samples, and how many cells.
    """
    if values.dtype.kind not in "fiu":
        raise FileError(f"The values are of type {values.dtype}. Give real numbers.")
    refuse("NaN or infinity", ~np.isfinite(values), batch)


def refuse(what: str, cells: np.ndarray, batch: int | None) -> None:
    """
    Checks that no cell is marked.

    Args:
        what: What the marked cells hold, for the message.
        cells: Which cells are marked.
        batch: Which dim counts samples.

    Raises:
        FileError: if one is; the message says which samples, and how many cells.
    """
    if not cells.any():
        return
    where = ""
    if batch is not None:
        samples = np.flatnonzero(cells.any(axis=tuple(i for i in range(cells.ndim) if i != batch)))
        listed = ", ".join(map(str, samples[:SHOWN])) + (", …" if len(samples) > SHOWN else "")
        which = f"number {listed}" if len(samples) == 1 else f"numbers {listed}"
        where = f", in {len(samples)} of {cells.shape[batch]} samples ({which}, counted from 0)"
    raise FileError(f"The values hold {what} in {int(cells.sum())} of {cells.size} cells{where}. {REMEDY}.")


def warn_unwritten(path: str, missing: int, parts: int, fill: Any) -> None:
    """Warns if `missing` of the `parts` chunks of an array were never written, and are read as its fill value."""
    if missing > 0:
        warnings.warn(
            f"The file has {parts - missing} of {parts} chunks of '{path}'. What was never written is read as {fill}. "
            f"If all of it is {fill}, this is right, since such chunks are often left out; else the file is not whole.",
            FileWarning,
            stacklevel=2,
        )
