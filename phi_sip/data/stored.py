"""Training data from files on disk: PhiFlow's scenes, NumPy, NetCDF and Zarr."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import check_count
from ..errors import FileError, ParameterError
from ..files import GridArray, read_grid
from ..files.arrays import BATCH
from .batches import Batch, by_step
from .samples import Samples

CACHED = 64  # files that are kept in memory


@dataclass(frozen=True)
class StoredData:
    """
    Samples in files, for `train(net, optimizer, physics, data.training, validation=data.validation)`.

    Attributes:
        training: Generator function: batches from any step on, in a new random order in each epoch, the same for the
            same seed.
        validation: Samples that are in none of them; `None` if none were held out.
        samples: Number of samples to train on.
    """

    training: Callable[[int], Iterator[Batch]]
    validation: Batch | None
    samples: int


def stored(
    observations: str | Sequence[str | Path],
    states: str | Sequence[str | Path] | None = None,
    *,
    batch_size: int,
    held_out: int = 0,
    seed: int = 0,
    variable: str | None = None,
    state_variable: str | None = None,
    dims: Sequence[str] | None = None,
    boundary: str = "periodic",
    precision: int = 64,
) -> StoredData:
    """
    Samples in files of one grid each, or of many along `batch`; read on another thread while the network is trained.

    Args:
        observations: Files of y*, see `phi_sip.files.read_grid`; or a pattern, `data/y*.npy`, whose files are sorted.
        states: Files of the true states, in the same order; `None`: not known.
        batch_size: Samples per step.
        held_out: Number of samples that are kept for validation.
        seed: Of the order, and of which are held out.
        variable: Of y* in its files.
        state_variable: Of x in its files.
        dims: Of the arrays in NumPy files.
        boundary: `periodic`, `zero-gradient` or `zero`.
        precision: Bits of the numbers.

    Raises:
        FileError: if a file cannot be read, or files do not fit together.
        ParameterError: if there are too few samples.
    """
    check_count("stored", "batch_size", batch_size)
    y_files, x_files = _found(observations), None if states is None else _found(states)
    if not y_files:
        raise FileError("stored: no files of observations. Give at least one.")
    if x_files is not None and len(x_files) != len(y_files):
        raise FileError(f"stored: {len(y_files)} files of observations, but {len(x_files)} of states.")
    read = lru_cache(CACHED)(lambda path, name: _batched(read_grid(path, name, dims)))
    nothing: Sequence[str | Path | None] = [None] * len(y_files)
    files = list(zip(y_files, x_files or nothing, strict=True))
    entries = [(i, j) for i, (y, _) in enumerate(files) for j in range(len(read(y, variable).values))]
    order = np.random.default_rng([seed, 0]).permutation(len(entries))
    kept, used = order[:held_out], order[held_out:]
    if held_out < 0 or len(used) < batch_size:
        raise ParameterError(
            f"stored: {len(entries)} samples, of which {held_out} are held out, do not make a batch of {batch_size}."
        )

    def draw(chosen: np.ndarray) -> tuple[GridArray, GridArray | None]:
        places = [entries[i] for i in chosen]
        y = _joined([_entry(read(files[i][0], variable), j) for i, j in places])
        if x_files is None:
            return y, None
        return y, _joined([_entry(read(files[i][1], state_variable), j) for i, j in places])

    def finish(drawn: tuple[GridArray, GridArray | None]) -> Batch:
        return Batch(*(None if grid is None else grid.to_field(boundary, precision) for grid in drawn))

    def of_step(step: int) -> tuple[GridArray, GridArray | None]:
        per_epoch = len(used) // batch_size
        epoch, place = divmod(step - 1, per_epoch)
        shuffled = np.random.default_rng([seed, 1, epoch]).permutation(used)
        return draw(shuffled[place * batch_size : (place + 1) * batch_size])

    validation = finish(draw(kept)) if held_out else None
    return StoredData(by_step(Samples(of_step, finish)), validation, len(used))


def scenes(folder: str | Path, y: str, x: str | None = None, **options: Any) -> StoredData:
    """
    Samples in PhiFlow's scenes `FOLDER/sim_000000/NAME_000000.npz`, one per simulation and frame.

    Args:
        folder: What `Scene.create` was given.
        y: Name of the fields of observations.
        x: Name of the fields of true states, of the same frame; `None`: not known.
        **options: As for `stored`.

    Raises:
        FileError: if there are none, or a state is missing.
    """
    observations = sorted(Path(folder).glob(f"sim_*/{y}_*.npz"))
    if not observations:
        raise FileError(f"{folder} holds no scenes with '{y}': there is no file sim_*/{y}_*.npz.")
    states = None
    if x is not None:
        states = [path.with_name(path.name.replace(f"{y}_", f"{x}_", 1)) for path in observations]
    return stored(observations, states, **options)


def _found(files: str | Sequence[str | Path]) -> Sequence[str | Path]:
    return sorted(glob.glob(files)) if isinstance(files, str) else files


def _batched(grid: GridArray) -> GridArray:
    """With the dim `batch` first."""
    if BATCH not in grid.dims:
        return replace(grid, values=grid.values[None], dims=(BATCH, *grid.dims))
    axis = grid.dims.index(BATCH)
    dims = (BATCH, *(dim for dim in grid.dims if dim != BATCH))
    return replace(grid, values=np.moveaxis(grid.values, axis, 0), dims=dims)


def _entry(grid: GridArray, number: int) -> GridArray:
    if not number < len(grid.values):
        raise FileError(f"stored: a file of states has {len(grid.values)} samples, fewer than that of observations.")
    return replace(grid, values=grid.values[number : number + 1])


def _joined(grids: list[GridArray]) -> GridArray:
    first = grids[0]
    for grid in grids[1:]:
        if _kind(grid) != _kind(first):
            raise FileError(f"stored: the files hold different grids: {_kind(first)} and {_kind(grid)}.")
    return replace(first, values=np.concatenate([grid.values for grid in grids]))


def _kind(grid: GridArray) -> tuple[Any, ...]:
    return grid.dims, grid.values.shape[1:], grid.lower, grid.upper
