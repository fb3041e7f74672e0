"""The random numbers of one update."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from phiml import math
from phiml.math import Shape, Tensor

from ..contract.physics import InvertiblePhysics
from ..contract.target import Random, TrainingTarget
from ..contract.trainable import Trainable
from ..states import trees
from ..states.draws import seeded_generator, standard_normal


def random_numbers(trainable: Trainable, precision: int) -> Random:
    """
    Returns where the random numbers of an update come from: NumPy's global random state, as `math.seed` sets it and
    checkpoints keep it. In a graph that the user makes they come from the framework, so that each run draws anew.

    Args:
        trainable: Network and optimizer.
        precision: Bits of the numbers.
    """
    if trainable.is_traced:
        return _OfFramework(precision)
    return _OfHost(precision)


def drawn(target: TrainingTarget, trainable: Trainable, physics: InvertiblePhysics, y_target: Any) -> Any:
    """Returns the random numbers that a target needs for one update."""
    precision = trees.precision_of(y_target)
    with trainable.backend, math.precision(precision):
        return target.draws(physics, y_target, random_numbers(trainable, precision))


@dataclass(frozen=True)
class _OfHost:
    precision: int

    @cached_property
    def generator(self) -> np.random.Generator:
        """Seeded when a number is first asked for."""
        return seeded_generator()

    def normal(self, shape: Shape) -> Tensor:
        return standard_normal(shape, self.precision, self.generator)

    def uniform(self, shape: Shape) -> Tensor:
        values = self.generator.random(shape.sizes, np.float64 if self.precision == 64 else np.float32)
        return math.reshaped_tensor(values, [*shape], convert=False)


@dataclass(frozen=True)
class _OfFramework:
    precision: int

    def normal(self, shape: Shape) -> Tensor:
        return math.random_normal(shape, dtype=(float, self.precision))

    def uniform(self, shape: Shape) -> Tensor:
        return math.random_uniform(shape, dtype=(float, self.precision))
