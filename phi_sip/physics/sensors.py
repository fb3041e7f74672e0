"""Observation at points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from phi.field import Field, sample
from phiml import math
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..states import trees
from .partial import PartialObservation


@dataclass(frozen=True, eq=False)
class Sensors(PartialObservation):
    """
    Another physics, which is observed at points only, on the grid or off it:

        y_i = P(x)(p_i),   linear interpolation between the centers of cells

    The inverse of linear physics is `GaussianProcess`, which fits a prior, and σ unless `noise_std` says it, to the
    values at the points; that of other physics is the default solver. A network is shown the estimate of the inverse,
    a picture, by `inputs=("estimate",)`, also with `"uncertainty"`.

    Args:
        physics: What is observed. It must have no `regularization` but `EmpiricalBayes()`. If it is not linear, its
            `noise_std` must be a number.
        points: Positions, a `Tensor` with an instance dim, e.g. `instance(sensors=64)`, and a channel dim `vector` that
            names the axes. Batch dims for positions of each sample are for numerical solvers other than
            `GaussianProcess`.
        grid: A state whose values do not matter: the grid and boundary of x.

    Raises:
        UnsupportedError: if an argument is of another type.
        ParameterError: if points lie outside of the domain, or have other axes, or `physics` has options that only its
            closed form obeys.
    """

    name: ClassVar[str] = "sensors"

    physics: InvertiblePhysics
    points: Tensor
    grid: Field

    def __post_init__(self) -> None:
        self._check_physics()
        if not isinstance(self.grid, Field) or not self.grid.is_grid or self.grid.is_staggered:
            raise UnsupportedError(
                f"Sensors: grid is a {type(self.grid).__name__}. Give a state on a centered grid, e.g. "
                f"CenteredGrid(0, extrapolation.PERIODIC, x=64, y=64)."
            )
        if not isinstance(self.points, Tensor) or not self.points.shape.instance or "vector" not in self.points.shape:
            raise UnsupportedError(
                "Sensors: points must be a Tensor with an instance dim and a channel dim 'vector', e.g. "
                "math.tensor(positions, instance('sensors'), channel(vector='x,y'))."
            )
        self._check_points()

    def _check_points(self) -> None:
        axes, names = set(self.grid.resolution.names), self.points.shape.get_item_names("vector") or ()
        if set(names) != axes:
            raise ParameterError(
                f"Sensors: the grid has the axes {', '.join(sorted(axes))}, but the vector of points names "
                f"{', '.join(names) or 'none'}. Name them in the order of its components: channel(vector='x,y')."
            )
        lower, upper = self.grid.bounds.lower, self.grid.bounds.upper
        if not bool(((self.points >= lower) & (self.points <= upper)).all):
            raise ParameterError(
                f"Sensors: some points lie outside of the domain, {lower} to {upper}. Give positions in the units of "
                f"the grid's bounds, not in cells."
            )

    @property
    def default_solver(self) -> str | None:
        """`GaussianProcess` for linear physics."""
        return "gaussian-process" if self.is_linear else self.physics.default_solver

    def forward(self, x: Field) -> Tensor:
        """Computes the values of P(x) at the points."""
        y = self.physics.forward(x)
        with math.precision(trees.precision_of(x)):
            values: Tensor = sample(y, math.cast(self.points, math.DType(float, trees.precision_of(x))))
        return values

    def initial_state(self, y_target: Tensor) -> Field:
        """Returns zero on the grid."""
        zero = math.expand(math.zeros(self.grid.values.shape.non_batch), y_target.shape.batch)
        with math.precision(trees.precision_of(y_target)):
            return trees.with_values(self.grid, math.to_float(zero))

    def noise_energy(self, y: Tensor) -> Tensor | None:
        """Computes σ² times the number of values, where σ is given; `None` elsewhere."""
        std = self.noise_std
        if std is None or self.measures_noise:
            return None
        return math.to_float(math.wrap(std)) ** 2 * y.shape.non_batch.volume


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Sensors]
