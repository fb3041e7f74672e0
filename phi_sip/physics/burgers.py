"""Burgers' equation: a velocity that carries itself, steepens and diffuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..spectral.derivatives import PeriodicDerivatives, runge_kutta_4
from ..spectral.substeps import Substeps
from ..states import trees
from ..states.checks import check_parameter
from .evolution import check_time_steps
from .time_loop import repeated_in_parts


@dataclass(frozen=True)
class Burgers(InvertiblePhysics):
    """
    Burgers' equation from x = u(0) to y = u(n dt):

        ∂u/∂t + (u · ∇) u = ν ∇²u

    Pseudo-spectral with the two-thirds rule; fourth order in time, diffusion exact. No closed form: diffusion has no
    inverse that noise would not destroy, so the default solver inverts it. The grid must resolve the fronts, which are
    ν / |u| thick: about |u| dx ≤ 2 ν.

    Works on periodic centered grids with any resolution and cell size: vector fields, and scalar ones in 1-D.

    A time step that is too long for the fastest sample of a batch is taken in 2, 4, 8, 16, 64 or 256 parts, see
    `Substeps`, so that neither predictions of a network nor trial steps of a solver end in an error.

    Args:
        viscosity: ν ≥ 0 in length² / time; a number, or a tensor with batch dims.
        time_step: dt > 0; a number, or a tensor with batch dims.
        steps: n ≥ 1.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*; a number, or a tensor with batch dims.

    Raises:
        ParameterError: if a parameter is out of range; by `forward`, if 256 parts of a time step are too few:
            dt max Σ_a |u_a| k_a > 717 with k_a = ⅔ π / dx_a at the start, since |u_a| never grows, or if that is not
            finite.
        BoundaryError: by `forward`, if the grid is not periodic.
        UnsupportedError: by `forward`, if x is no velocity on a centered grid.

    Source: Burgers, "A mathematical model illustrating the theory of turbulence", 1948; the scheme: see
    `PeriodicDerivatives` and `runge_kutta_4`; solutions to compare with: Hopf, "The partial differential equation
    u_t + u u_x = μ u_xx", 1950.
    """

    name: ClassVar[str] = "burgers"

    viscosity: float | Tensor
    time_step: float | Tensor
    steps: int
    noise_std: float | Tensor = 0.0

    def __post_init__(self) -> None:
        check_time_steps("Burgers", self.time_step, self.steps)
        check_parameter("Burgers", "viscosity", self.viscosity)
        check_parameter("Burgers", "noise_std", self.noise_std)

    def noise_energy(self, y: Field) -> Tensor:
        """Computes E‖n‖²: σ² for every cell and component."""
        return math.wrap(self.noise_std) ** 2 * y.values.shape.non_batch.volume

    def initial_state(self, y_target: Field) -> Field:
        """Returns y*, as a state that has not changed would be observed."""
        return y_target

    def forward(self, x: Field) -> Field:
        """
        Computes y = u(n dt).

        Args:
            x: u(0), a periodic centered grid with the channel dim `vector` that names the axes; in 1-D also without.
        """
        space = self._space(x)
        with math.precision(trees.precision_of(x)):
            parts = Substeps.of("Burgers", space.courant(x.values, self.time_step))
            dt = self.time_step / parts.count
            decay = math.exp(-0.5 * self.viscosity * dt * space.k_squared)
            entries = math.merge_shapes(decay.shape.batch, math.wrap(dt).shape.batch)
            rate = partial(_convection, space, space.nabla, space.resolved)
            c = repeated_in_parts(
                lambda c: runge_kutta_4(rate, c, dt, decay),
                math.expand(space.basis.transform(x.values), entries),
                self.steps,
                parts,
            )
            return trees.with_values(x, space.basis.inverse(c))

    def _space(self, x: Field) -> PeriodicDerivatives:
        """Returns Fourier space of the grid, once x has been checked."""
        if not isinstance(x, Field) or not x.is_grid or not x.is_centered:
            raise UnsupportedError(
                f"Burgers works on centered grids, but got {trees.describe(x)}. Make a CenteredGrid, or sample it at "
                f"the centers, x.at_centers()."
            )
        axes = x.resolution.names
        named = "vector" in x.values.shape and set(x.values.vector.item_names or ()) == set(axes)
        if not named and not (len(axes) == 1 and not x.values.shape.channel):
            raise UnsupportedError(
                f"Burgers: x has the channel dims {x.values.shape.channel}, but a velocity has one component per axis. "
                f"Give it the dim vector={','.join(axes)}; in 1-D it may have none."
            )
        return PeriodicDerivatives(x)


def _convection(space: PeriodicDerivatives, nabla: Tensor, resolved: Tensor, c: Tensor) -> Tensor:
    """Computes −(u · ∇) u in Fourier space."""
    c = c * resolved
    u = space.basis.inverse(c)
    carrier = space.per_axis(u) if "vector" in u.shape else math.expand(u, space.axes)
    product = math.sum(carrier * space.basis.inverse(nabla * c), "derivative")
    return -resolved * space.basis.transform(product)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Burgers]
