"""Samples of observations and states that lie in files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import FileError
from ..files import GridArray, KeptGrids, joined

Pair = tuple[GridArray, GridArray | None]
Paths = Sequence[str | Path]


@dataclass(frozen=True)
class SampleFiles:
    """
    Files that hold samples of one kind.

    Attributes:
        read: Reads a grid.
        paths: The files.
        variable: Name of the array in each file; `None`: the only one.
        sizes: Number of samples in each file.
    """

    read: KeptGrids
    paths: Paths
    variable: str | None
    sizes: tuple[int, ...]

    @staticmethod
    def of(read: KeptGrids, paths: Paths, variable: str | None) -> SampleFiles:
        """
        Reads all files once.

        Raises:
            FileError: if one cannot be read, or holds another grid than the first one.
        """
        sizes = []
        first = _sample(read(paths[0], variable), 0)
        for path in paths:
            grid = read(path, variable)
            if not grid.fits(first):
                raise FileError(f"stored: {path} holds another grid than {paths[0]}: {grid.cells}, not {first.cells}.")
            sizes.append(len(grid.values))
        return SampleFiles(read, paths, variable, tuple(sizes))

    def samples(self, places: Iterable[tuple[int, int]]) -> GridArray:
        """Returns samples as one grid, each given by the number of its file and its number in this file."""
        return joined([_sample(self.read(self.paths[file], self.variable), number) for file, number in places])


@dataclass(frozen=True)
class StoredPairs:
    """
    Pairs of an observation and its state in files.

    Attributes:
        y: Files of the observations y*.
        x: Files of the states x; `None` where they are not known.

    Raises:
        FileError: if the numbers of samples differ.
    """

    y: SampleFiles
    x: SampleFiles | None

    def __post_init__(self) -> None:
        if self.x is None:
            return
        for y, observations, x, states in zip(self.y.paths, self.y.sizes, self.x.paths, self.x.sizes, strict=True):
            if observations != states:
                raise FileError(f"stored: {y} holds {observations} observations, but {x} {states} states.")

    def __len__(self) -> int:
        return sum(self.y.sizes)

    def draw(self, numbers: Iterable[int]) -> Pair:
        """Returns the pairs with these numbers, counted over all files."""
        starts = np.cumsum([0, *self.y.sizes])
        files = ((int(np.searchsorted(starts, number, side="right")) - 1, number) for number in numbers)
        places = [(file, int(number - starts[file])) for file, number in files]
        return self.y.samples(places), None if self.x is None else self.x.samples(places)


def _sample(grid: GridArray, number: int) -> GridArray:
    return replace(grid, values=grid.values[number : number + 1].copy())
