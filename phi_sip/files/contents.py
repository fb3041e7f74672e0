"""The arrays of a file, which are measured and checked before they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    An array in a file that is not read yet.

    Attributes:
        path: Its name, after those of the groups that it is in: `measurements/T`.
        dims: Names of its dims; `None` where the file has none.
        shape: Its shape.
        dtype: Type of its numbers in the file.
        load: Reads its numbers as they are in the file.
        attributes: What the file says about it.
        chunk: Shape of the chunks in which it is stored; each chunk is read as a whole.
        fill: Value that the format gives to cells that were never written; `None` if it gives none.
        netcdf: Whether a NetCDF library wrote the array.
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
        """Its name without the groups."""
        return self.path.rpartition("/")[2]

    @property
    def group(self) -> str:
        """Path of the group that it is in; '' for none."""
        return self.path.rpartition("/")[0]

    def values(self, batch: int | None = None) -> np.ndarray:
        """
        Returns its numbers by CF's conventions, unpacked by `scale_factor` and `add_offset`.

        Args:
            batch: Which dim counts samples, for messages.

        Raises:
            FileError: if it does not fit into memory, is no array of numbers, or holds stand-ins for missing data.
        """
        if self.dtype.kind not in "fiu":
            raise FileError(f"'{self.path}' is of type {self.dtype}. Give real numbers.")
        stored = as_declared(self._loaded(), self.attributes)
        refuse_stand_ins(stored, self.attributes, batch, netcdf=self.netcdf, fill=self.fill)
        packing = {name: self.attributes[name] for name in PACKING if name in self.attributes}
        return _unpacked(stored, packing) if packing else stored

    def words(self) -> list[str] | None:
        """Returns its texts; `None` if it holds anything else."""
        letters = len(self.shape) == 2 and self.dtype == "S1"  # NetCDF 3 stores each letter in a cell
        if self.dtype.kind not in TEXT or not (len(self.shape) <= 1 or letters):
            return None
        found = self._loaded()
        rows = [row.tobytes() for row in found] if letters else list(np.atleast_1d(found))
        if not all(isinstance(word, (bytes, str)) for word in rows):
            return None
        return [word.decode().rstrip("\0 ") if isinstance(word, bytes) else str(word) for word in rows]

    def _loaded(self) -> np.ndarray:
        """Returns its content as it is in the file, if there is memory for it."""
        check_fits(f"'{self.path}'", self.shape, self.dtype, self.chunk)
        return np.asarray(self.load())


def groups_in(
    group: Any, inner: Callable[[Any], Iterable[tuple[str, Any]]], path: str = ""
) -> Iterator[tuple[str, Any]]:
    """
    Yields a group of a file and all groups in it, each after its path.

    Args:
        group: The group.
        inner: Returns the groups that lie directly in a group, each after its name.
        path: Path of the group; '' for the whole file.
    """
    yield path, group
    for name, found in inner(group):
        yield from groups_in(found, inner, f"{path}/{name}".strip("/"))


def _unpacked(stored: np.ndarray, packing: Mapping[str, Any]) -> np.ndarray:
    from xarray import Variable
    from xarray.conventions import decode_cf_variable

    dims = [f"dim_{i}" for i in range(stored.ndim)]
    return np.asarray(decode_cf_variable("values", Variable(dims, stored, packing), decode_times=False).values)
