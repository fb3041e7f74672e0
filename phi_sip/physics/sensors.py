"""Observation at points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Tensor, channel

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import GridMismatchError, ParameterError, UnsupportedError
from ..spectral.interpolation import at_points
from ..states import order, trees
from .partial import PartialObservation

NEAR = 1e-6  # of the domain: points that lie outside of it by less are at its side


@dataclass(frozen=True, eq=False)
class Sensors(PartialObservation):
    """
    Another physics, which is observed at points only, on the grid or off it:

        y_i = P(x)(p_i),   linear between the centers of cells, and at the sides what the boundary says

    The inverse of linear physics, and of others with a rule, is `MaximumAPosteriori`, which obeys the rule, or fits a
    prior, and σ unless `noise_std` says it, to the values at the points; that of other physics is the default solver. A
    network is shown the estimate of the inverse, a picture, by `inputs=("estimate",)`, also with `"uncertainty"`.

    Args:
        physics: What is observed, a process between fields. Its `regularization` may be any rule that needs no closed
            form, see `MaximumAPosteriori`; without one, and if it is not linear, its `noise_std` must be a number.
        points: Positions, a `Tensor` with an instance dim, e.g. `instance(sensors=64)`, and a channel dim `vector` that
            names the axes. With batch dims each sample has positions of its own.
        grid: A state whose values do not matter: the grid and boundary of x. Values are those at the centers of cells;
            where they are on nodes, both sides included, give bounds that are half a cell larger on each side.

    Raises:
        UnsupportedError: if an argument is of another type; in a simulation, if P(x) is on no centered grid.
        ParameterError: if points lie outside of the domain, or have other axes, or `physics` has options that only its
            closed form obeys.
        GridMismatchError: in a simulation, if x is on another grid.
    """

    name: ClassVar[str] = "sensors"

    physics: InvertiblePhysics
    points: Tensor
    grid: Field

    def __post_init__(self) -> None:
        self._check_physics()
        _check_centered("Sensors: grid", self.grid, "CenteredGrid(0, extrapolation.PERIODIC, x=64, y=64)")
        if not isinstance(self.points, Tensor) or not self.points.shape.instance or "vector" not in self.points.shape:
            raise UnsupportedError(
                "Sensors: points must be a Tensor with an instance dim and a channel dim 'vector', e.g. "
                "math.tensor(positions, instance('sensors'), channel(vector='x,y'))."
            )
        empty = math.zeros(self.grid.values.shape.non_batch, dtype=self.grid.values.dtype)
        object.__setattr__(self, "grid", trees.with_values(self.grid, empty))
        object.__setattr__(self, "points", self._inside())

    def _inside(self) -> Tensor:
        """Returns the points, with axes by name, moved to the side of the domain where rounding has them outside."""
        axes = order.by_name(self.grid.resolution.names)
        names = self.points.shape.get_item_names("vector") or ()
        if set(names) != set(axes):
            raise ParameterError(
                f"Sensors: the grid has the axes {', '.join(axes)}, but the vector of points names "
                f"{', '.join(names) or 'none'}. Name them in the order of its components: channel(vector='x,y')."
            )
        found = []
        for axis in axes:
            at, bounds = self.points.vector[axis], self.grid.bounds
            lower, upper = (float(side.vector[axis]) for side in (bounds.lower, bounds.upper))
            margin = NEAR * (upper - lower)
            if not bool(((at >= lower - margin) & (at <= upper + margin)).all) or not at.shape.volume:
                raise ParameterError(
                    f"Sensors: some points are not inside of the domain, which is from {lower:g} to {upper:g} along "
                    f"{axis}, or there are none. Give positions in the units of the grid's bounds, not in cells."
                )
            found.append(math.clip(at, lower, upper))
        stacked: Tensor = math.stack(found, channel(vector=axes))
        return stacked

    @property
    def default_solver(self) -> str | None:
        """`MaximumAPosteriori` for linear physics, and for others with a prior."""
        is_fitted = self.is_linear or self.rule_of_state is not None
        return "maximum-a-posteriori" if is_fitted else self.physics.default_solver

    @property
    def network_parameters(self) -> Mapping[str, Any]:
        """Those of the physics: positions are no picture, and the grid has no values."""
        return {name: value for name, value in super().network_parameters.items() if name not in ("points", "grid")}

    def forward(self, x: Field) -> Tensor:
        """Computes the values of P(x) at the points."""
        self._check_state(x)
        y = self.physics.forward(x)
        _check_centered(f"Sensors: what {type(self.physics).__name__} simulates", y, "a process between such fields")
        with math.precision(trees.precision_of(x)):
            return at_points(y, self.points)

    def _check_state(self, x: Any) -> None:
        """Checks that a state is on the grid, in whatever order of axes."""
        _check_centered("Sensors: x", x, "a state like the grid of Sensors")
        for axis in order.by_name(self.grid.resolution.names):
            sizes = [f.resolution.get_size(axis) if axis in f.resolution else 0 for f in (x, self.grid)]
            if sizes[0] != sizes[1] or x.spatial_rank != self.grid.spatial_rank:
                raise GridMismatchError(
                    f"x has {x.resolution}, the grid of Sensors {self.grid.resolution}. Give Sensors that of x."
                )
            own, wanted = ([float(s.vector[axis]) for s in (f.bounds.lower, f.bounds.upper)] for f in (x, self.grid))
            if not np.allclose(own, wanted, rtol=NEAR, atol=NEAR * (wanted[1] - wanted[0])):
                raise GridMismatchError(
                    f"Along {axis}, x is from {own[0]:g} to {own[1]:g}, the grid of Sensors from {wanted[0]:g} to "
                    f"{wanted[1]:g}. Give Sensors that of x."
                )
        if x.boundary != self.grid.boundary:
            raise GridMismatchError(
                f"x has the boundary {x.boundary}, the grid of Sensors {self.grid.boundary}. Give Sensors that of x."
            )

    def initial_state(self, y_target: Tensor) -> Field:
        """Returns zero on the grid."""
        with math.precision(trees.precision_of(y_target)):
            zero = math.to_float(math.expand(self.grid.values, y_target.shape.batch))
            return trees.with_values(self.grid, zero)

    def noise_energy(self, y: Tensor) -> Tensor | None:
        """Computes the mean of σ² times the number of values, where σ is given; `None` elsewhere."""
        std = self.noise_std
        if std is None or self.measures_noise:
            return None
        variance = math.to_float(math.wrap(std)) ** 2
        return math.mean(variance, variance.shape.non_batch) * y.shape.non_batch.volume


def _check_centered(what: str, field: Any, example: str) -> None:
    if not isinstance(field, Field) or not field.is_grid or field.is_staggered:
        kind = "a staggered grid" if isinstance(field, Field) and field.is_staggered else f"a {type(field).__name__}"
        raise UnsupportedError(f"{what} is {kind}, but sensors read centered grids. Give {example}.")


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Sensors]
