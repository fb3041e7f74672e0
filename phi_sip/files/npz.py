"""NumPy's `.npz`: arrays by name; also those that PhiFlow's `field.write` makes."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.atomic import written_file
from ..errors import FileError
from .arrays import BATCH, BOUNDARIES, CHANNEL, GridArray, unit_cells, usual_dims
from .formats import chosen

DIMS, LOWER, UPPER, BOUNDARY, ATTRIBUTES = OWN = ("dims", "lower", "upper", "boundary", "attributes")
MARK = b"grids of phi_sip"  # at the end of the archive, where NumPy writes nothing
KINDS = {"batch": BATCH, "channel": CHANNEL}  # PhiFlow's kinds of dims whose names are free


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    archive = np.load(path, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise FileError("It is not an .npz archive, but one array. Rename it to .npy.")
    with archive:
        if "field_type" in archive.files:
            return _of_phiflow(archive)
        described = archive.zip.comment == MARK or set(OWN) <= set(archive.files)
        names = [name for name in archive.files if not (described and name in OWN)]
        values = _array(archive, chosen(variable, names))
        if not described:
            return unit_cells(values, tuple(dims) if dims else usual_dims(values.ndim))
        lower, upper = (tuple(map(float, _array(archive, name))) for name in (LOWER, UPPER))
        boundary = str(_array(archive, BOUNDARY))
        names_of_dims = tuple(dims) if dims else tuple(map(str, _array(archive, DIMS)))
        return GridArray(values, names_of_dims, lower, upper, boundary if boundary in BOUNDARIES else None)


def _of_phiflow(archive: Any) -> GridArray:
    kind = str(_array(archive, "field_type"))
    if kind != "CenteredGrid":
        raise FileError(f"It holds a {kind}. Write centered grids.")
    names, kinds = (list(map(str, _array(archive, key))) for key in ("dim_names", "dim_types"))
    dims = tuple(KINDS.get(kind, name) for name, kind in zip(names, kinds, strict=True))
    lower, upper = (tuple(map(float, np.atleast_1d(_array(archive, name)))) for name in (LOWER, UPPER))
    return GridArray(_array(archive, "data"), dims, lower, upper)


def _array(archive: Any, name: str) -> np.ndarray:
    """An array to its last byte, since the checksum is compared there only."""
    with archive.zip.open(f"{name}.npy") as file:
        values: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise FileError(f"'{name}' is longer than its array: it is damaged.")
    return values


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    first = next(iter(grids.values()))
    arrays = {name: grid.values for name, grid in grids.items()}
    arrays |= {DIMS: np.array(first.dims), LOWER: np.array(first.lower), UPPER: np.array(first.upper)}
    arrays[BOUNDARY] = np.array(first.boundary or "")
    arrays[ATTRIBUTES] = np.array([f"{key}: {value}" for key, value in attributes.items()], dtype=str)
    with written_file(path) as unfinished, unfinished.open("w+b") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = MARK
