"""What a file holds: arrays by name, each measured and checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import FileError
from .memory import check_fits
from .missing import PACKING, as_declared, refuse_stand_ins

TEXT = "SUOT"  # NumPy's kinds of text, of fixed and of any length


@dataclass(frozen=True)
class StoredArray:
    """
    An array in a file, not read yet.

    Attributes:
        path: Its name, after those of the groups that it is in: `measurements/T`.
        dims: Names of its dims; `None` where the file has none.
        shape: Its size.
        dtype: Type of its numbers, as stored.
        load: Reads it as it is stored.
        attributes: What the file says about it.
        chunk: Size of the parts in which it is stored.
        fill: What the format says to be the value of cells that were never written.
        netcdf: Whether a NetCDF library wrote it.
    """

    path: str
    dims: tuple[str, ...] | None
    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    chunk: Sequence[int] = ()
    fill: Any = None
    netcdf: bool = False

    @property
    def name(self) -> str:
        """Without the groups."""
        return self.path.rpartition("/")[2]

    @property
    def group(self) -> str:
        """Path of the group that it is in; '' for none."""
        return self.path.rpartition("/")[0]

    def values(self, batch: int | None = None) -> np.ndarray:
        """
        Its numbers, by CF's conventions.

        Args:
            batch: Which dim counts samples.

        Raises:
            FileError: if it does not fit into memory, is no array of numbers, or holds stand-ins for missing data.
        """
        if self.dtype.kind not in "fiu":
            raise FileError(f"'{self.path}' is of type {self.dtype}. Give real numbers.")
        check_fits(f"'{self.path}'", self.shape, self.dtype, self.chunk)
        stored = as_declared(np.asarray(self.load()), self.attributes)
        refuse_stand_ins(stored, self.attributes, batch, netcdf=self.netcdf, fill=self.fill)
        packing = {name: self.attributes[name] for name in PACKING if name in self.attributes}
        return _unpacked(stored, packing) if packing else stored

    def words(self) -> list[str] | None:
        """Its text, word by word; `None` if it holds something else."""
        letters = len(self.shape) == 2 and self.dtype == "S1"  # in NetCDF 3 a letter is a cell
        if self.dtype.kind not in TEXT or not (len(self.shape) <= 1 or letters):
            return None
        check_fits(f"'{self.path}'", self.shape, self.dtype, self.chunk)
        found = np.asarray(self.load())
        rows = [row.tobytes() for row in found] if letters else list(np.atleast_1d(found))
        if not all(isinstance(word, (bytes, str)) for word in rows):
            return None
        return [word.decode().rstrip("\0 ") if isinstance(word, bytes) else str(word) for word in rows]


def _unpacked(stored: np.ndarray, packing: Mapping[str, Any]) -> np.ndarray:
    from xarray import Variable
    from xarray.conventions import decode_cf_variable

    dims = [f"dim_{i}" for i in range(stored.ndim)]
    return np.asarray(decode_cf_variable("values", Variable(dims, stored, packing), decode_times=False).values)
