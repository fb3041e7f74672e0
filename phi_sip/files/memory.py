"""Checks that an array fits into memory before it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import FileError
from ..storage.memory import available

SHARE = 2  # an array may need 1/SHARE of the memory, since it is copied when it is checked and converted


def check_fits(what: str, shape: Sequence[int], dtype: np.dtype, chunk: Sequence[int] = ()) -> None:
    """
    Checks the size of an array, by its shape and type in the file, against the memory that is left.

    Args:
        what: Name of the array in messages.
        shape: Its shape.
        dtype: Type of its numbers.
        chunk: Shape of the chunks in which it is stored; each chunk is read as a whole.

    Raises:
        FileError: if the array needs more than half of the memory that is left.
    """
    needed = max(math.prod(map(int, size)) * dtype.itemsize for size in (shape, chunk or (0,)))
    limit = available() // SHARE
    if needed > limit:
        raise FileError(
            f"{what} has the shape {tuple(map(int, shape))} and the type {dtype}, which needs {needed / 1e9:.3g} GB, "
            f"but {limit / 1e9:.3g} GB can be used for it here. Split it into files of fewer samples, or use a machine "
            f"with more memory. If the file is small, it is damaged, or made to fill memory: do not use it."
        )
