"""How the noise of observations is distributed, and what that means for their inversion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor

from ..contract.physics import Correction
from ..spectral import SpectralBasis
from ..states import order, trees

STD = "noise_std"


@dataclass(frozen=True, eq=False)
class NoisyObservation:
    """
    An observation y* of linear physics, and how it is inverted as one with white noise.

    Attributes:
        y_target: y*.
        noise_std: σ of y*, a number, a tensor with batch dims, or how to measure it.
        explain: Computes the correction Δx of the state x for an observation in place of y*, whose noise is white, and
            its σ. Its `stats` say with which σ.
        simulate: Computes P(x + Δx) per cell, with the mean of the observation in place of y* that Δx explains, if P
            leaves it open.
        alike: The dims over which the noise has one σ: the cells, and the dim of several observations of one x.
    """

    y_target: Field
    noise_std: Any
    explain: Callable[[Field, Any], Correction]
    simulate: Callable[[Any, Field], Tensor]
    alike: Shape


class NoiseLaw(ABC):
    """
    How the noise n of an observation y* = P(x) + n is distributed, up to its size. That is σ, the root mean square of n
    over the cells, which the physics knows, or measures, as its `noise_std`. Subclasses are frozen dataclasses.

    Attributes:
        name: Registry key of the class, as in `noise="poisson"`.
    """

    name: ClassVar[str] = ""

    @property
    def is_white(self) -> bool:
        """Whether this is white Gaussian noise, for which every rule and solver is made."""
        return False

    @property
    def explains_once(self) -> bool:
        """Whether `correction` explains one observation, y*, and no others in its place."""
        return False

    @property
    def fixes_std(self) -> bool:
        """Whether the law says σ itself, so that the physics is given none."""
        return False

    def std(self, values: Tensor, alike: Shape) -> Tensor:
        """
        Computes σ of an observation, if the law fixes it.

        Args:
            values: y* per cell.
            alike: See `NoisyObservation`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not fix σ")

    def log_power(self, basis: SpectralBasis) -> Tensor | None:
        """
        Computes log v_k, E|n̂_k|² = σ² v_k with a mean of 1 over all modes; `None` if all v_k are 1.

        Args:
            basis: The modes.
        """
        return None

    def correction(self, observation: NoisyObservation) -> Correction:
        """
        Computes the correction of x. Default: as for noise that is white in the modes divided by √v_k.

        Args:
            observation: y*, and how it is inverted.
        """
        return observation.explain(observation.y_target, observation.noise_std)

    @abstractmethod
    def sample(
        self, mean: Tensor, normal: Tensor, known: Mapping[str, Any], basis: SpectralBasis, alike: Shape
    ) -> Tensor:
        """
        Makes noise n of standard normal numbers.

        Args:
            mean: P(x) per cell.
            normal: Independent standard normal numbers per cell.
            known: σ as `noise_std`, and what else the law has measured, as `stats` of an inversion hold it.
            basis: The modes of the grid.
            alike: See `NoisyObservation`.
        """


def root_mean(squares: Tensor, alike: Shape) -> Tensor:
    """Computes the square root of the mean over cells."""
    return math.sqrt(math.mean(squares, squares.shape.only(alike)))


def positive(values: Tensor) -> Tensor:
    """Returns values to divide by: 1 in place of those that are not positive."""
    return order.where(values > 0, values, 1.0)


def replaced(field: Field, values: Tensor) -> Field:
    """Returns an observation with other values."""
    return trees.with_values(field, values)
