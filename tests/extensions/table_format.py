"""A file format of a stranger: numbers as text, with the dims in the first line."""

from pathlib import Path

import numpy as np

from phi_sip import hookimpl
from phi_sip.files import FileFormat, GridArray
from phi_sip.storage.atomic import written_file


class Table(FileFormat):
    """Text: names and sizes of the dims, then the numbers."""

    name = "table"
    suffixes = (".table",)

    def read(self, path: Path, variable, dims):
        first, numbers = path.read_text().split("\n", 1)
        named = [part.split("=") for part in first.split()]
        values = np.array(numbers.split(), float).reshape([int(size) for _, size in named])
        dims = tuple(dims or (name for name, _ in named))
        unknown = (None,) * (len(dims) - ("batch" in dims))
        return GridArray(values, dims, unknown, unknown)

    def write(self, path: Path, grids, attributes):
        (grid,) = grids.values()
        named = zip(grid.dims, grid.values.shape, strict=True)
        with written_file(path) as unfinished:
            first = " ".join(f"{name}={size}" for name, size in named)
            unfinished.write_text(first + "\n" + " ".join(map(str, grid.values.ravel())))


@hookimpl
def sip_file_formats():
    return [Table]
