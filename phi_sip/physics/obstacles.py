"""Obstacles, as PhiFlow describes them, on a grid."""

from __future__ import annotations

from typing import Any

from phi.field import Field
from phi.geom import Geometry
from phi.physics.fluid import Obstacle
from phiml import math
from phiml.backend import NUMPY
from phiml.math import Tensor

from ..errors import ParameterError, UnsupportedError
from ..states import order


def as_geometries(owner: str, obstacles: Any) -> tuple[Geometry, ...]:
    """
    Returns the geometries of obstacles.

    Args:
        owner: Who asks, for messages.
        obstacles: A `Geometry`, an `Obstacle` at rest, or a sequence of them.

    Raises:
        UnsupportedError: if it is anything else, or an obstacle moves.
    """
    if isinstance(obstacles, (tuple, list)):
        return tuple(geometry for obstacle in obstacles for geometry in as_geometries(owner, obstacle))
    if isinstance(obstacles, Geometry):
        return (obstacles,)
    if not isinstance(obstacles, Obstacle):
        raise UnsupportedError(
            f"{owner}: an obstacle is a {type(obstacles).__name__}. Give geometries, e.g. Sphere(x=8, y=8, radius=2), "
            f"or Obstacles that have one."
        )
    if not obstacles.is_stationary:
        raise UnsupportedError(f"{owner}: an obstacle moves or rotates. Leave out its velocity and angular_velocity.")
    return (obstacles.geometry,)


def outside(owner: str, obstacles: tuple[Geometry, ...], grid: Field) -> Tensor:
    """
    Returns for each cell of a grid whether its center lies inside of no obstacle.

    Raises:
        ParameterError: if an obstacle has other axes than the grid.
    """
    free = math.wrap(True)
    with NUMPY, math.precision(64):
        centers = grid.geometry.center
    for geometry in obstacles:
        names = geometry.vector.item_names
        if set(names) != set(grid.resolution.names):
            raise ParameterError(
                f"{owner}: an obstacle has the axes {', '.join(names)}, but the grid has "
                f"{', '.join(grid.resolution.names)}. Give geometries in the space of the grid."
            )
        free = free & ~geometry.lies_inside(order.matched(centers, geometry.shape))
    return free
