"""NumPy's `.npz`: arrays by name; also those that PhiFlow's `field.write` makes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.atomic import written_file
from ..errors import FileError
from .arrays import BATCH, CHANNEL, GridArray, unit_cells, usual_dims
from .formats import chosen
from .npy import DAMAGED

DIMS, LOWER, UPPER, ATTRIBUTES = "dims", "lower", "upper", "attributes"
KINDS = {"batch": BATCH, "channel": CHANNEL}  # PhiFlow's kinds of dims whose names are free


def read(path: Path, variable: str | None, dims: Sequence[str] | None) -> GridArray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "field_type" in archive.files:
                return _of_phiflow(archive)
            described = {DIMS, LOWER, UPPER} <= set(archive.files)
            names = [name for name in archive.files if name not in (DIMS, LOWER, UPPER, ATTRIBUTES)]
            values = archive[chosen(variable, names)]
            if not described:
                return unit_cells(values, tuple(dims) if dims else usual_dims(values.ndim))
            lower, upper = (tuple(map(float, archive[name])) for name in (LOWER, UPPER))
            return GridArray(values, tuple(dims) if dims else tuple(map(str, archive[DIMS])), lower, upper)
    except FileError:
        raise
    except (*DAMAGED, KeyError, AttributeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise FileError(f"It is not a readable .npz file: {error}.") from error


def _of_phiflow(archive: Any) -> GridArray:
    if str(archive["field_type"]) != "CenteredGrid":
        raise FileError(f"It holds a {archive['field_type']}. Write centered grids.")
    dims = [
        KINDS.get(str(kind), str(name)) for name, kind in zip(archive["dim_names"], archive["dim_types"], strict=True)
    ]
    lower, upper = (tuple(map(float, np.atleast_1d(archive[name]))) for name in (LOWER, UPPER))
    return GridArray(archive["data"], tuple(dims), lower, upper)


def write(path: Path, grids: Mapping[str, GridArray], attributes: Mapping[str, str]) -> None:
    first = next(iter(grids.values()))
    arrays = {name: grid.values for name, grid in grids.items()}
    arrays |= {DIMS: np.array(first.dims), LOWER: np.array(first.lower), UPPER: np.array(first.upper)}
    arrays[ATTRIBUTES] = np.array([f"{key}: {value}" for key, value in attributes.items()])
    with written_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
