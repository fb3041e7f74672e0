"""The Navier–Stokes equations in two dimensions: vorticity that carries itself, with friction and forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Tensor, channel, expand

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import UnsupportedError
from ..regularization import Regularization
from ..spectral.derivatives import PeriodicDerivatives
from ..spectral.vorticity import Q, VorticityTransport
from ..states import trees
from ..states.checks import check_parameter
from .evolution import check_time_steps
from .fitted import FittedPrior
from .on_cells import check_on_cells, on_cells


@dataclass(frozen=True, eq=False)
class NavierStokes(FittedPrior):
    """
    Two-dimensional viscous flow from the vorticity x = ω(0) to y = ω(T), T = n dt:

        ∂ω/∂t + u·∇ω = ν ∇²ω + f,   u = (∂_y ψ, −∂_x ψ),   −∇²ψ = ω,   ω = ∂_x u_y − ∂_y u_x

    Pseudo-spectral with the two-thirds rule; fourth order in time, friction exact, see `VorticityTransport`. The
    velocity has the mean 0. No closed form: friction has no inverse that noise would not destroy, so the default solver
    inverts it. The mean of ω changes by that of f only: `constrain` gives x the mean of y* less that.

    Works on scalar periodic centered grids with two axes, any resolution and cell size, and any batch dims.

    Args:
        viscosity: ν ≥ 0 in length² / time; a number, or a tensor with batch dims.
        time_step: dt > 0; a number, or a tensor with batch dims.
        steps: n ≥ 1.
        forcing: f, the curl of a force, constant in time: a `Tensor` or `Field` on the cells of x; batch dims allowed.
            Default: none.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*; a number, or a tensor with batch dims. Default: not
            known.
        regularization: `EmpiricalBayes()` or another rule, see `DifferentiablePhysics`. Default: no prior.

    Raises:
        ParameterError: if a parameter is out of range or not finite; by `forward`, if the time step is not stable:
            dt max Σ_a |u_a| k_a > 2.8 at the start, with k_a = ⅔ π / dx_a.
        GridMismatchError: by `forward`, if `forcing` is on other cells than x.
        BoundaryError: by `forward`, if the grid is not periodic.
        UnsupportedError: by `forward`, if x is no scalar `Field` on a two-dimensional centered grid; if `forcing` is of
            another type.

    Source: Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", ICLR 2021, section 5.3,
    for the problem; the scheme: see `VorticityTransport` and `runge_kutta_4`.
    """

    name: ClassVar[str] = "navier-stokes"

    viscosity: float | Tensor
    time_step: float | Tensor
    steps: int
    forcing: Tensor | Field | None = None
    noise_std: float | Tensor | None = None
    regularization: Regularization | None = None

    def __post_init__(self) -> None:
        check_time_steps("NavierStokes", self.time_step, self.steps)
        check_parameter("NavierStokes", "viscosity", self.viscosity)
        if self.forcing is not None:
            check_on_cells("NavierStokes", "forcing", self.forcing)
        self._check_noise_and_prior()

    def initial_state(self, y_target: Field) -> Field:
        """Returns y*, as a state that has not changed would be observed."""
        return y_target

    def forward(self, x: Field) -> Field:
        """
        Computes y = ω(T).

        Args:
            x: ω(0), a scalar periodic centered grid with two axes.
        """
        transport = self._transport(x)
        basis = transport.space.basis
        with math.precision(trees.precision_of(x)):
            start = expand(basis.transform(x.values), channel(**{Q: 1}))
            at_rest = expand(math.convert(math.to_float(math.wrap(0.0)), start.default_backend), transport.space.axes)
            if x.values.available:
                velocity = transport.velocity(at_rest, start[{Q: 0}])
                transport.space.check_courant("NavierStokes", velocity, self.time_step)
            force = None if self.forcing is None else basis.transform(self._force(x))
            end = transport.run(at_rest, start, self.time_step, self.steps, self.viscosity, force)
            return trees.with_values(x, transport.scalar(end, 0))

    def constrain(self, x: Field, y_target: Field) -> Field:
        """Returns x with the mean that y* had at the start."""
        with math.precision(trees.precision_of(x)):
            mean = math.mean(y_target.values, x.resolution)
            if self.forcing is not None:
                mean = mean - self.time_step * self.steps * math.mean(self._force(x), x.resolution)
            return trees.with_values(x, x.values + (mean - math.mean(x.values, x.resolution)))

    def _force(self, x: Field) -> Tensor:
        return expand(on_cells("NavierStokes", "forcing", self.forcing, x), x.resolution)

    def _transport(self, x: Field) -> VorticityTransport:
        """Returns Fourier space of the grid, once x has been checked."""
        if not isinstance(x, Field) or not x.is_grid or not x.is_centered or x.spatial_rank != 2:
            raise UnsupportedError(
                f"NavierStokes works on two-dimensional centered grids, but got {trees.describe(x)}. Make a "
                f"CenteredGrid with two axes that holds the vorticity."
            )
        if x.values.shape.channel:
            raise UnsupportedError(
                f"NavierStokes: x has the channel dims {x.values.shape.channel}, but a vorticity has none in two "
                f"dimensions. Compute ∂_x u_y − ∂_y u_x of a velocity first."
            )
        return VorticityTransport(PeriodicDerivatives(x))


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [NavierStokes]
