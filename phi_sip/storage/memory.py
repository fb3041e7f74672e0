"""The memory that is left."""

from __future__ import annotations

import os
from pathlib import Path

UNLIMITED = 2**62
CGROUPS = Path("/sys/fs/cgroup")


def available() -> int:
    """Returns the bytes of memory that this process can still take; `UNLIMITED` if the system does not tell."""
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
    """Returns what the limit of a container leaves."""
    try:
        limit, used = ((CGROUPS / name).read_text() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return UNLIMITED
