"""Test processes keep little memory: what frameworks have compiled is dropped when it has become large."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

import jax

from phi_sip.regularization import split_prior
from phi_sip.solvers import least_squares

LARGE = 1_700_000_000  # bytes; the frameworks alone take 1.4e9
GROWTH = 100_000_000  # bytes; what stays cannot be dropped


class ProcessMemory:
    """What this process holds, most of it compiled: 0.3 MB for each operation and shape on JAX, 200 MB for a solver."""

    def __init__(self) -> None:
        self.kept = 0

    def drop_compiled_if_large(self) -> None:
        if resident() > max(LARGE, self.kept + GROWTH):
            self.drop_compiled()

    def drop_compiled(self) -> None:
        least_squares._compiled.cache_clear()
        split_prior._compiled.cache_clear()
        jax.clear_caches()
        gc.collect()
        _return_to_system()
        self.kept = resident()


def resident() -> int:
    """Bytes of memory that this process holds now; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _return_to_system() -> None:
    """glibc keeps what was freed unless it is asked."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
