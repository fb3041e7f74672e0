"""A trained inverse on files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..files import BATCH, CHANNEL, GridArray, Size, check_writable, joined, read_grid, write_grids
from ..states.checks import check_count
from .misfit import per_sample
from .trained import TrainedInverse


def invert_file(
    inverse: TrainedInverse,
    observations: str | Path,
    states: str | Path,
    *,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    boundary: Any = None,
    size: Size | None = None,
    components: Sequence[str] | None = None,
    precision: int = 64,
    batch_size: int = 64,
    refine: int = 0,
) -> dict[str, float]:
    """
    Reads observations, inverts them in batches, and writes states.

    Args:
        inverse: See `load_inverse`.
        observations: File of observations y*, see `read_grid`.
        states: File for `state` x, and where they are known `uncertainty`, a standard deviation, and `interval`, half
            the width of an interval around x; `.npy` holds x only.
        variable: See `read_grid`.
        dims: See `read_grid`.
        boundary: What holds at the sides, see `stored`. Default: that of the file, or that of the training.
        size: Length of the domain by axis, see `stored`. Default: as the file says, or by cells as in training.
        components: Names of the components in their order, where the file does not say them.
        precision: Bits of the numbers that the physics computes with: 32 or 64.
        batch_size: Samples at once.
        refine: See `TrainedInverse.invert`.

    Returns:
        `samples`, and `y_l2`: ½ ‖P(x) − y*‖², mean over the samples. Warns with `MisfitWarning` of samples whose states
        explain them far worse than those of the training, when all is written.

    Raises:
        FileError: if a file cannot be read or written, or both are the same; before anything is computed.
        ParameterError: if an argument is out of range, or neither file, training nor arguments say boundary or size.
        UnsupportedError: if the library for a format is missing.
        GridMismatchError, BoundaryError, NetworkOutputError, NonFiniteError: if the observations do not fit the
            inverse.
    """
    check_count("invert_file", "batch_size", batch_size)
    states = Path(states)
    check_writable(states)
    grid = read_grid(observations, variable, dims).told(boundary, size, components)
    if inverse.grid is not None:
        grid = inverse.grid.completed(grid)
    if states.exists() and states.samefile(observations):
        raise FileError(f"{states} holds the observations, which would be lost. Name another file for the states.")
    parts, errors, ratios = [], [], []
    for part in _batches(grid, batch_size):
        inversion = inverse.answer(part.to_field(precision=precision), refine)
        found = {"state": inversion.x}
        if states.suffix != ".npy":
            more = {"uncertainty": inversion.uncertainty, "interval": inversion.interval}
            found |= {name: field for name, field in more.items() if field is not None}
        parts.append(
            {name: replace(_like(grid, GridArray.of_field(field)), units=grid.units) for name, field in found.items()}
        )
        errors.append(per_sample(inversion.y_l2))
        if inversion.misfit_ratio is not None:
            ratios.append(per_sample(inversion.misfit_ratio))
    write_grids(states, {name: joined([part[name] for part in parts]) for name in parts[0]}, _about(inverse, refine))
    if inverse.misfit is not None:
        inverse.misfit.warn(np.concatenate(ratios))
    y_l2 = np.concatenate(errors)
    return {"samples": float(len(y_l2)), "y_l2": float(np.mean(y_l2))}


def _batches(grid: GridArray, size: int) -> Iterator[GridArray]:
    first = grid.batch_first()
    for i in range(0, len(first.values), size):
        yield replace(first, values=first.values[i : i + size])


def _like(grid: GridArray, found: GridArray) -> GridArray:
    """Returns a grid with its axes in the order of the observations."""
    first = found.batch_first()
    return first.permuted((BATCH, *grid.axes, *(dim for dim in first.dims if dim == CHANNEL)))


def _about(inverse: TrainedInverse, refine: int) -> dict[str, str]:
    facts: dict[str, Any] = {
        "source": f"phi_sip {version('phi-sip')}, a network trained to invert {type(inverse.physics).__name__}",
        **{key: inverse.description[key] for key in ("framework", "physics", "network", "files")},
        "refine": refine,
        **({} if inverse.guard is None else {"guard": inverse.guard.describe()}),
        "uncertainty": "standard deviation per cell of a state inverted by the physics' own inverse",
    }
    if inverse.interval is not None and not refine:
        facts["interval"] = (
            f"half the width per cell: state ± interval holds the true value in {inverse.interval.coverage:.0%} of the "
            f"cells, as far as true states are like those of the training, seen at half their size"
        )
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
