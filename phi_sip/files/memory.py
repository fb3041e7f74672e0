"""How much memory a file wants, before it is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import FileError

SHARE = 2  # of the memory, 1/SHARE may be asked for: numbers are checked and converted, for which there is a copy
UNLIMITED = 2**62
CGROUPS = Path("/sys/fs/cgroup")


def available() -> int:
    """Bytes of memory that this process can still have; `UNLIMITED` where the system does not tell."""
    return min(_of_the_machine(), _of_the_group())


def _of_the_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return UNLIMITED


def _of_the_group() -> int:
    """What a container allows."""
    try:
        limit, used = ((CGROUPS / name).read_text() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return UNLIMITED


def check_fits(what: str, shape: Sequence[int], dtype: np.dtype, chunk: Sequence[int] = ()) -> None:
    """
    Measures an array by what its file says, before memory is taken.

    Args:
        what: How messages call it.
        shape: Its size.
        dtype: Type of its numbers.
        chunk: Size of the parts in which it is stored, which are read as a whole.

    Raises:
        FileError: if it needs more than half of the memory that is left.
    """
    needed = max(math.prod(map(int, size)) * dtype.itemsize for size in (shape, chunk or (0,)))
    limit = available() // SHARE
    if needed > limit:
        raise FileError(
            f"{what} has the shape {tuple(map(int, shape))} and the type {dtype}, which needs {needed / 1e9:.3g} GB, "
            f"but {limit / 1e9:.3g} GB can be used for it here. Split it into files of fewer samples, or use a machine "
            f"with more memory. If the file is small, it is damaged, or made to fill memory: do not use it."
        )
