"""NumPy's `.npz`: an archive of arrays with names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..storage.atomic import written_file
from . import phiflow
from .arrays import GridArray
from .choice import chosen
from .datasets import grid_of
from .dims import axes_in, renamed, usual_dims
from .file_format import FileFormat
from .named import named
from .npz_archive import Archive

NAMES = "components"
DIMS, LOWER, UPPER, BOUNDARY, ATTRIBUTES = OWN = ("dims", "lower", "upper", "boundary", "attributes")
# Comments at the end of our archives. In those with the second one, components have no names.
MARK, MARK_BEFORE = b"grids and components of phi_sip", b"grids of phi_sip"


class Npz(FileFormat):
    """NumPy's format of several arrays, also as PhiFlow and phi_sip write it."""

    name = "npz"
    suffixes = (".npz",)

    def read(self, path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
        with path.open("rb") as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise FileError("It is not an .npz archive, but one array. Rename it to .npy.")
        with zipfile.ZipFile(path) as opened:
            archive = Archive(opened)
            if phiflow.TYPE in archive.names:
                return phiflow.read(archive, variable, dims)
            if opened.comment in (MARK, MARK_BEFORE) or set(OWN) <= set(archive.names):
                named_components = opened.comment == MARK or NAMES in archive.names
                return _described(archive, variable, dims, named_components)
            return grid_of([archive.stored(name) for name in archive.names], {}, variable, dims, usual_dims)

    def write(self, path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
        first = next(iter(grids.values()))
        unknown = (np.nan, np.nan)
        lower, upper = zip(*(first.bounds.get(axis, unknown) for axis in first.axes), strict=True)
        arrays: dict[str, Any] = {name: grid.values for name, grid in grids.items()}
        arrays |= {DIMS: np.array(first.dims), LOWER: np.array(lower), UPPER: np.array(upper)}
        arrays[BOUNDARY] = np.array(first.boundary or "")
        arrays[NAMES] = np.array(first.components or (), dtype=str)
        arrays[ATTRIBUTES] = np.array([f"{key}: {value}" for key, value in attributes.items()], dtype=str)
        with written_file(path) as unfinished, unfinished.open("w+b") as file:
            np.savez_compressed(file, **arrays)
            with zipfile.ZipFile(file, "a") as archive:
                archive.comment = MARK


def _described(archive: Archive, variable: str | None, dims: Sequence[str] | None, named_components: bool) -> GridArray:
    """Returns a grid that `Npz.write` has written."""
    array = chosen(variable, [archive.stored(name) for name in archive.names if name not in (*OWN, NAMES)])
    own = tuple(map(str, archive.short(DIMS)))
    names = renamed(own, dims)
    new = dict(zip(own, names, strict=True))
    lower, upper = (tuple(map(float, archive.short(name))) for name in (LOWER, UPPER))
    sides = zip(axes_in(own), lower, upper, strict=True)
    return named(
        array.values(),
        names,
        {new[axis]: (low, high) for axis, low, high in sides if not np.isnan(low)},
        new,
        boundary=str(archive.short(BOUNDARY)),
        components=(list(map(str, archive.short(NAMES))) or None) if named_components else None,
    )
