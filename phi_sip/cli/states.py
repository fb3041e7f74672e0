"""Sample states to check a physics on. Imports PhiFlow: to be imported inside a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from phi.field import CenteredGrid, Field
from phiml import math
from phiml.math import Shape, batch, channel, extrapolation

from ..data import smooth_fields

SAMPLES = batch(batch=3)


def scalar(cells: Shape, seed: int) -> Field:
    """Returns smooth random values on a periodic grid, without a mean."""
    return smooth_fields(SAMPLES, cells, mean=0.0, seed=seed)


def velocity(cells: Shape, seed: int) -> Field:
    """Returns smooth random vectors, with a component per axis."""
    components = [scalar(cells, seed + i).values for i in range(cells.rank)]
    return CenteredGrid(math.stack(components, channel(vector=cells.names)), extrapolation.PERIODIC, resolution=cells)


def pair(cells: Shape, seed: int) -> tuple[Field, Field]:
    """Returns a value and its rate of change."""
    return scalar(cells, seed), scalar(cells, seed + 1)


def numbers(cells: Shape, seed: int) -> Any:
    """Returns as many numbers as there are axes, without a grid."""
    values = np.random.default_rng(seed).normal(0.0, 0.3, (SAMPLES.volume, cells.rank))
    return math.to_float(math.tensor(values, SAMPLES, channel("vector")))


STATES: dict[str, Callable[[Shape, int], Any]] = {make.__name__: make for make in (scalar, velocity, pair, numbers)}
