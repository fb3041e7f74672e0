"""The arrays of an `.npz` archive, which are measured before they are unpacked."""

from __future__ import annotations

import io
import zipfile
from typing import IO, Any

import numpy as np

from ..errors import FileError
from ..storage.archives import header
from .contents import StoredArray
from .pickled import LIMIT, plain_data

SUFFIX = ".npy"


class Archive:
    """
    The arrays of an archive by name.

    Args:
        archive: The archive, opened for reading.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = [name[: -len(SUFFIX)] for name in archive.namelist() if name.endswith(SUFFIX)]

    def stored(self, name: str) -> StoredArray:
        """Returns an array that is not read yet."""
        with self._open(name) as file:
            shape, dtype = header(file)
        return StoredArray(name, None, shape, dtype, lambda: self._values(name))

    def short(self, name: str) -> np.ndarray:
        """
        Returns a short array that describes others.

        Raises:
            FileError: if it is longer than 64 kB.
        """
        with self._open(name) as file:
            shape, dtype = header(file)
        if np.prod(shape, dtype=object) * dtype.itemsize > LIMIT:
            raise FileError(f"'{name}' is longer than {LIMIT} bytes.")
        return self._values(name)

    def plain(self, name: str) -> Any:
        """Returns the plain data in an array of objects. No object is made, and no code is run."""
        with self._open(name) as file:
            content = file.read(2 * LIMIT)
            if file.read(1):
                raise FileError(f"'{name}' is longer than {2 * LIMIT} bytes.")
        start = io.BytesIO(content)
        np.lib.format.read_magic(start)
        np.lib.format.read_array_header_1_0(start)
        return plain_data(content[start.tell() :])

    def _open(self, name: str) -> IO[bytes]:
        return self._archive.open(name + SUFFIX)

    def _values(self, name: str) -> np.ndarray:
        """Returns an array, which is read to its last byte, as the checksum is compared there."""
        with self._open(name) as file:
            values: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):
                raise FileError(f"'{name}' is longer than its array: it is damaged.")
        return values
