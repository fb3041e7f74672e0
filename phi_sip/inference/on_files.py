"""A trained inverse on files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..checks import check_count
from ..files import GridArray, read_grid, write_grids
from ..files.arrays import BATCH
from .trained import TrainedInverse


def invert_file(
    inverse: TrainedInverse,
    observations: str | Path,
    states: str | Path,
    *,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    boundary: str = "periodic",
    precision: int = 64,
    batch_size: int = 64,
) -> dict[str, float]:
    """
    Reads observations, inverts them in batches, and writes states.

    Args:
        inverse: See `load_inverse`.
        observations: File of observations y*, see `read_grid`.
        states: File for `state` x, and `uncertainty`, a standard deviation, where there is one; `.npy` holds x only.
        variable: See `read_grid`.
        dims: See `read_grid`.
        boundary: `periodic`, `zero-gradient` or `zero`.
        precision: Bits of the numbers that the physics computes with.
        batch_size: Samples at once.

    Returns:
        `samples`, and `y_l2`: ½ ‖P(x) − y*‖², mean over the samples.

    Raises:
        FileError: if a file cannot be read or written.
        BoundaryError, NetworkOutputError, NonFiniteError: if the observations do not fit the inverse.
    """
    check_count("invert_file", "batch_size", batch_size)
    grid = read_grid(observations, variable, dims)
    parts, errors = [], []
    for part in _batches(grid, batch_size):
        inversion = inverse.invert(part.to_field(boundary, precision))
        found = {"state": inversion.x}
        if inversion.uncertainty is not None and Path(states).suffix != ".npy":
            found["uncertainty"] = inversion.uncertainty
        parts.append({name: GridArray.of_field(field) for name, field in found.items()})
        errors += [float(value) for value in inversion.y_l2.numpy(inversion.y_l2.shape).ravel()]
    write_grids(states, {name: _joined([part[name] for part in parts]) for name in parts[0]}, _about(inverse))
    return {"samples": float(len(errors)), "y_l2": float(np.mean(errors))}


def _batches(grid: GridArray, size: int) -> list[GridArray]:
    if BATCH not in grid.dims:
        return [grid]
    axis = grid.dims.index(BATCH)
    values = np.moveaxis(grid.values, axis, 0)
    dims = (BATCH, *(dim for dim in grid.dims if dim != BATCH))
    return [replace(grid, values=values[i : i + size], dims=dims) for i in range(0, len(values), size)]


def _joined(parts: list[GridArray]) -> GridArray:
    return replace(parts[0], values=np.concatenate([part.values for part in parts]))


def _about(inverse: TrainedInverse) -> dict[str, str]:
    facts: dict[str, Any] = {
        "source": f"phi_sip {__version__}, a network trained to invert {type(inverse.physics).__name__}",
        "physics": inverse.description["physics"],
        "network": inverse.description["network"],
        "uncertainty": "standard deviation per cell of a state inverted by the physics' own inverse",
    }
    return {key: str(value) for key, value in facts.items()}
