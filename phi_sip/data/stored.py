"""Training data from files: PhiFlow's scenes, and all formats of `phi_sip.files`."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, ParameterError
from ..files import KeptGrids, Size
from ..states.checks import check_count
from .batches import Batch, by_step
from .pairs import Pair, Paths, SampleFiles, StoredPairs
from .samples import Samples

KEPT = 2**30  # largest number of bytes of grids that are kept in memory
Files = str | Path | Paths


@dataclass(frozen=True)
class StoredData:
    """
    Samples in files, for `train(net, optimizer, physics, data.training, validation=data.validation)`.

    Attributes:
        training: Generator function, which yields the batches from a step on. Each epoch has a new random order, which
            depends on the seed only.
        validation: Samples that are in no batch; `None` if none were held out.
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
    Reads samples from files while the network is trained. A file holds one sample, or several along `batch`.

    All files are read once at the beginning, so that a file that cannot be read is found at once. The 1 GB of them that
    was used last is kept in memory; other files are read again, each as a whole.

    Args:
        observations: Files of y*, see `phi_sip.files.read_grid`: a list, one file, or a pattern such as `data/y*.npy`,
            whose files are sorted by name.
        states: Files of the true states x, in the same order; `None`: the states are not known.
        batch_size: Samples per step.
        held_out: Number ≥ 0 of samples for validation.
        seed: Seed ≥ 0 of the order, and of the choice of the samples for validation.
        variable: Name of the array of y* in its files, see `read_grid`.
        state_variable: Name of the array of x in its files.
        dims: See `read_grid`.
        boundary: Boundary conditions, which replace those of the files and are needed if these say none: `periodic`,
            `zero-gradient`, `zero`, a number, or one per axis or side, `x=periodic,y-=0,y+=2.5`; or as PhiFlow has
            them.
        size: Length of the domain along each axis, by name, or one for all axes: `{"x": 20.0, "y": 3.0}`. It is needed
            if the files do not say it; `.npy` files never do. For cells of length 1 it is the number of cells.
        components: Names of the components in order, such as `["x", "y"]`, if the files do not say them.
        precision: Bits of the numbers: 32 or 64.

    Raises:
        FileError: if a file cannot be read, or files do not fit together.
        ParameterError: if there are too few samples, an argument is out of range, or neither the files nor the
            arguments say boundary and size.
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
    y = SampleFiles.of(read, y_files, variable)
    pairs = StoredPairs(y, None if x_files is None else SampleFiles.of(read, x_files, state_variable))
    order = np.random.default_rng([seed, 0]).permutation(len(pairs))
    kept, used = order[:held_out], order[held_out:]
    if len(used) < batch_size:
        raise ParameterError(
            f"stored: {len(pairs)} samples, of which {held_out} are held out, do not make a batch of {batch_size}."
        )

    def finish(drawn: Pair) -> Batch:
        return Batch(*(None if grid is None else grid.to_field(precision=precision) for grid in drawn))

    def of_step(step: int) -> Pair:
        epoch, place = divmod(step - 1, len(used) // batch_size)
        shuffled = np.random.default_rng([seed, 1, epoch]).permutation(used)
        return pairs.draw(shuffled[place * batch_size : (place + 1) * batch_size])

    finish(pairs.draw(used[:1]))  # refuses wrong options before anything begins
    validation = finish(pairs.draw(kept)) if held_out else None
    return StoredData(by_step(Samples(of_step, finish)), validation, len(used))


def scenes(folder: str | Path, y: str, x: str | None = None, **options: Any) -> StoredData:
    """
    Reads samples from PhiFlow's scenes `FOLDER/sim_000000/NAME_000000.npz`, one for each simulation and frame. Bounds,
    components and boundary are those of the files. A boundary that has no words, see `stored`, must be given.

    Args:
        folder: The folder that `Scene.create` was called with.
        y: Name of the fields of observations, in lower case, as in the names of the files.
        x: Name of the fields of true states of the same frames; `None`: the states are not known.
        **options: See `stored`.

    Raises:
        FileError: if there are no scenes, or a state is missing.
    """
    name = re.compile(re.escape(y) + r"_(\d{6,})\.npz")
    found = sorted(
        (path, match[1]) for path in Path(folder).glob("sim_*/*.npz") if (match := name.fullmatch(path.name))
    )
    if not found:
        raise FileError(f"{folder} holds no scenes with '{y}': there is no file sim_*/{y}_*.npz.")
    states = None if x is None else [path.with_name(f"{x}_{frame}.npz") for path, frame in found]
    return stored([path for path, _ in found], states, **options)


def _found(files: Files) -> Paths:
    if isinstance(files, str) and not Path(files).exists():
        return sorted(glob.glob(files))
    return [files] if isinstance(files, (str, Path)) else files
