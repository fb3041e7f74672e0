"""A cache of the grids that were read last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from .arrays import GridArray
from .reading import read_grid


class KeptGrids:
    """
    Reads grids and keeps those that were used last. Threads can share it.

    Args:
        dims: See `read_grid`.
        limit: Largest number of bytes that are kept in memory. The last grid is always kept.
        completed: Completes a grid that was read by what its file does not say, see `GridArray.told`.
    """

    def __init__(
        self,
        dims: Sequence[str] | None,
        limit: int,
        completed: Callable[[GridArray], GridArray] = lambda grid: grid,
    ) -> None:
        self._dims, self._limit, self._completed, self._bytes = dims, limit, completed, 0
        self._grids: OrderedDict[tuple[Path, str | None], GridArray] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, path: str | Path, variable: str | None) -> GridArray:
        """Returns the grid of a file in the order of `GridArray.in_order`. Errors are those of `read_grid`."""
        key = (Path(path), variable)
        with self._lock:
            if key not in self._grids:
                self._grids[key] = self._completed(read_grid(path, variable, self._dims)).in_order()
                self._bytes += self._grids[key].values.nbytes
            self._grids.move_to_end(key)
            while self._bytes > self._limit and len(self._grids) > 1:
                _, oldest = self._grids.popitem(last=False)
                self._bytes -= oldest.values.nbytes
            return self._grids[key]
