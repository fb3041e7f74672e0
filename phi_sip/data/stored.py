"""Training data from files on disk: PhiFlow's scenes, NumPy, NetCDF, HDF5 and Zarr."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, ParameterError
from ..files import GridArray, KeptGrids, Size, joined
from ..states.checks import check_count
from .batches import Batch, by_step
from .samples import Samples

KEPT = 2**30  # bytes of grids that are kept in memory
Files = str | Path | Sequence[str | Path]


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
    observations: Files,
    states: Files | None = None,
    *,
    batch_size: int,
    held_out: int = 0,
    seed: int = 0,
    variable: str | None = None,
    state_variable: str | None = None,
    dims: Sequence[str] | None = None,
    boundary: Any = None,
    size: Size | None = None,
    components: Sequence[str] | None = None,
    precision: int = 64,
) -> StoredData:
    """
    Samples in files of one grid each, or of many along `batch`; read on another thread while the network is trained.

    All files are read once at the beginning, so that a bad one is not met after hours. The last 1 GB of them is kept
    in memory; what is more is read again from the disk, whole files at a time.

    Args:
        observations: Files of y*, see `phi_sip.files.read_grid`; or one, or a pattern, `data/y*.npy`, whose files are
            sorted.
        states: Files of the true states, in the same order; `None`: not known.
        batch_size: Samples per step.
        held_out: Number ≥ 0 of samples that are kept for validation.
        seed: Seed ≥ 0 of the order, and of which are held out.
        variable: Of y* in its files.
        state_variable: Of x in its files.
        dims: See `read_grid`.
        boundary: `periodic`, `zero-gradient`, `zero`, a number, or one per axis or side: `x=periodic,y-=0,y+=2.5`;
            also as PhiFlow has them. In place of that of the files; needed where they do not say it.
        size: Length of the domain along each axis, by name, or one for all: `{"x": 20.0, "y": 3.0}`. Needed where files
            do not say it, as `.npy` files never do. Cells of length 1 are those of a domain as long as it has cells.
        components: Names of the components in their order, such as `["x", "y"]`, where files do not say them.
        precision: Bits of the numbers: 32 or 64.

    Raises:
        FileError: if a file cannot be read, or files do not fit together.
        ParameterError: if there are too few samples, an argument is out of range, or the files do not say boundary or
            size, and neither do the arguments.
        UnsupportedError: if the library for a format is missing.
    """
    check_count("stored", "batch_size", batch_size)
    for name, value in (("held_out", held_out), ("seed", seed)):
        if not isinstance(value, int) or value < 0:
            raise ParameterError(f"stored: {name} = {value!r}, but it must be an integer ≥ 0.")
    y_files, x_files = _found(observations), None if states is None else _found(states)
    if not y_files:
        raise FileError("stored: no files of observations. Give at least one.")
    if x_files is not None and len(x_files) != len(y_files):
        raise FileError(f"stored: {len(y_files)} files of observations, but {len(x_files)} of states.")
    read = KeptGrids(dims, KEPT, lambda grid: grid.told(boundary, size, components))
    sizes = _samples(read, y_files, variable)
    if x_files is not None:
        _check_pairs(y_files, sizes, x_files, _samples(read, x_files, state_variable))
    entries = [(i, j) for i, size in enumerate(sizes) for j in range(size)]
    order = np.random.default_rng([seed, 0]).permutation(len(entries))
    kept, used = order[:held_out], order[held_out:]
    if len(used) < batch_size:
        raise ParameterError(
            f"stored: {len(entries)} samples, of which {held_out} are held out, do not make a batch of {batch_size}."
        )

    def draw(chosen: np.ndarray) -> tuple[GridArray, GridArray | None]:
        places = [entries[i] for i in chosen]
        y = joined([_sample(read(y_files[i], variable), j) for i, j in places])
        if x_files is None:
            return y, None
        return y, joined([_sample(read(x_files[i], state_variable), j) for i, j in places])

    def finish(drawn: tuple[GridArray, GridArray | None]) -> Batch:
        return Batch(*(None if grid is None else grid.to_field(precision=precision) for grid in drawn))

    def of_step(step: int) -> tuple[GridArray, GridArray | None]:
        per_epoch = len(used) // batch_size
        epoch, place = divmod(step - 1, per_epoch)
        shuffled = np.random.default_rng([seed, 1, epoch]).permutation(used)
        return draw(shuffled[place * batch_size : (place + 1) * batch_size])

    finish(draw(used[:1]))  # what is wrong with the options is said before anything begins
    validation = finish(draw(kept)) if held_out else None
    return StoredData(by_step(Samples(of_step, finish)), validation, len(used))


def scenes(folder: str | Path, y: str, x: str | None = None, **options: Any) -> StoredData:
    """
    Samples in PhiFlow's scenes `FOLDER/sim_000000/NAME_000000.npz`, one per simulation and frame. Bounds, components
    and boundary are as written; a boundary that has no words, see `stored`, is to be given.

    Args:
        folder: What `Scene.create` was given.
        y: Name of the fields of observations, as files spell it: lower case.
        x: Name of the fields of true states, of the same frame; `None`: not known.
        **options: As for `stored`.

    Raises:
        FileError: if there are none, or a state is missing.
    """
    name = re.compile(re.escape(y) + r"_(\d{6,})\.npz")
    found = sorted(
        (path, match[1]) for path in Path(folder).glob("sim_*/*.npz") if (match := name.fullmatch(path.name))
    )
    if not found:
        raise FileError(f"{folder} holds no scenes with '{y}': there is no file sim_*/{y}_*.npz.")
    states = None if x is None else [path.with_name(f"{x}_{frame}.npz") for path, frame in found]
    return stored([path for path, _ in found], states, **options)


def _found(files: Files) -> Sequence[str | Path]:
    if isinstance(files, str) and not Path(files).exists():
        return sorted(glob.glob(files))
    return [files] if isinstance(files, (str, Path)) else files


def _samples(read: KeptGrids, files: Sequence[str | Path], variable: str | None) -> list[int]:
    """How many samples each file has."""
    sizes = []
    first = _sample(read(files[0], variable), 0)
    for file in files:
        grid = read(file, variable)
        if not grid.fits(first):
            raise FileError(f"stored: {file} holds another grid than {files[0]}: {grid.cells}, not {first.cells}.")
        sizes.append(len(grid.values))
    return sizes


def _check_pairs(
    y_files: Sequence[str | Path], y_sizes: list[int], x_files: Sequence[str | Path], x_sizes: list[int]
) -> None:
    for y, observations, x, states in zip(y_files, y_sizes, x_files, x_sizes, strict=True):
        if observations != states:
            raise FileError(f"stored: {y} holds {observations} observations, but {x} {states} states.")


def _sample(grid: GridArray, number: int) -> GridArray:
    return replace(grid, values=grid.values[number : number + 1].copy())
