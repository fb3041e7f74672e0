"""Incompressible flow observed through a marker that it carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Tensor, batch, channel, concat, stack

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..spectral.coarse_to_fine import CoarseToFine
from ..spectral.derivatives import PeriodicDerivatives
from ..spectral.optical_flow import OpticalFlow
from ..spectral.vorticity import Q, VorticityTransport
from ..states import order, trees
from ..states.checks import check_parameter
from .evolution import check_time_steps

VORTICITY, MARKER = 0, 1
ITERATIONS = 8  # of conjugate gradients: more would fit the linearization better, not the marker


@dataclass(frozen=True, eq=False)
class IncompressibleFlow(InvertiblePhysics):
    """
    Two-dimensional inviscid flow from x = u(0) to the marker density at the end, y = m(T), T = n dt:

        ∂u/∂t + (u·∇) u = −∇p,   ∇·u = 0,   ∂m/∂t + u·∇m = 0,   m(0) = `marker`

    Pseudo-spectral in the vorticity, fourth order in time, see `VorticityTransport`. The local inverse is a simulation
    in reverse, R, with an estimate of the motion in the middle of it:

    1. from the end, R carries the residual r = y* − y, which moves with the flow as the marker does, back to T/2;
    2. there, the divergence-free displacement ξ that carries m to m + r is found, see `OpticalFlow`, on blurred images
       first, see `CoarseToFine`. ξ / T is what the velocity lacks, as a mean over the run;
    3. from there, R runs back to the start with and without it: x̃ = x + R(u(T/2) + ξ/T) − R(u(T/2)).

    y determines the motion across contours of m only. Δx is divergence-free, does not change if m is scaled, is 0 at a
    solution, and costs about as much as two simulations, no derivative among them. It descends on ½ ‖P(x) − y*‖² as
    long as the marker moves wrongly by no more than about its own structures; beyond that the estimate is as ambiguous
    as the gradient. `stats`: `displacement`, the root mean square of ξ in units of length.

    A time step that is too long for the fastest sample of a batch is taken in 2, 4, 8, 16, 64 or 256 parts, see
    `Substeps`, so that predictions of a network that are too fast do not end its training.

    `constrain` makes x divergence-free; `forward` ignores what is not. Works on periodic centered grids with any
    resolution, cell size and batch dims. The grid must resolve the marker: modes above ⅔ of the highest do not move.

    Args:
        marker: m(0), a scalar `Field` or `Tensor` with the dims of the grid; batch dims allowed.
        time_step: dt > 0; a number, or a tensor with batch dims.
        steps: n ≥ 1; the inverse wants an even number of them.
        smoothness: ℓ ≥ 0 of the optical flow, in units of the length of the marker's structures m₂ / |∇m|₂.
        regularization: λ > 0 of the optical flow.

    Raises:
        ParameterError: if a parameter is out of range; by `forward`, if 256 parts of a time step are too few:
            dt max Σ_a |u_a| k_a > 717 with k_a = ⅔ π / dx_a, or if that is not finite.
        BoundaryError: by `forward`, if the grid is not periodic.
        UnsupportedError: if `marker` is no scalar `Field` or `Tensor`; by `forward`, if x is no velocity on a
            two-dimensional centered grid like that of the marker.

    Source: Holl, Koltun, Thuerey (arXiv 2109.15048), fluid experiment (Fig. 7), whose inverse is a reverse simulation
    with a velocity correction from the marker densities too; Horn, Schunck, "Determining optical flow", 1981.
    """

    name: ClassVar[str] = "incompressible-flow"

    marker: Field | Tensor
    time_step: float | Tensor
    steps: int
    smoothness: float = 3.0
    regularization: float = 1e-2

    def __post_init__(self) -> None:
        check_time_steps("IncompressibleFlow", self.time_step, self.steps)
        check_parameter("IncompressibleFlow", "smoothness", self.smoothness)
        check_parameter("IncompressibleFlow", "regularization", self.regularization, positive=True)
        if self.steps % 2:
            raise ParameterError(
                f"IncompressibleFlow: steps = {self.steps}, but the inverse works in the middle of the run. Make them "
                f"even, e.g. {self.steps + 1} with time_step = {self.time_step * self.steps / (self.steps + 1)}."
            )
        if not isinstance(self.marker, (Field, Tensor)) or self._marker.shape.channel:
            raise UnsupportedError(
                f"IncompressibleFlow: marker is {trees.describe(self.marker)}. Give a scalar Field or Tensor: the "
                f"density at the start, without channel dims."
            )

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """The options of the optical flow that are not the default."""
        options = ((option, getattr(self, option.name)) for option in fields(self))
        inverse_only = ("smoothness", "regularization")
        return {o.name: value for o, value in options if o.name in inverse_only and value != o.default}

    def initial_state(self, y_target: Field) -> Field:
        """Returns the fluid at rest."""
        axes = order.by_name(y_target.resolution.names)
        return y_target.with_values(math.expand(y_target.values * 0, channel(vector=axes)))

    def forward(self, x: Field) -> Field:
        """
        Computes y = m(T).

        Args:
            x: u(0), a periodic centered grid with the channel dim `vector` that names the two axes.
        """
        transport = self._transport(x)
        with math.precision(trees.precision_of(x)):
            mean, start = transport.encode(x.values, self._marker_like(x))
            parts = transport.substeps("IncompressibleFlow", mean, start, self.time_step)
            end = transport.run(mean, start, self.time_step, self.steps, substeps=parts)
            return trees.with_values(x, transport.scalar(end, MARKER))

    def inverse(self, y_target: Field, x: Field, y: Field) -> Correction:
        """Computes the correction by a reverse simulation, see the class."""
        transport, half = self._transport(x), self.steps // 2
        with math.precision(trees.precision_of(x)):
            mean, start = transport.encode(x.values, self._marker_like(x))
            parts = transport.substeps("IncompressibleFlow", mean, start, self.time_step)
            run = partial(transport.run, mean, steps=half, substeps=parts, differentiable=False)
            middle = run(start, self.time_step)
            end = run(_only(middle, VORTICITY), self.time_step)
            residual = transport.space.basis.transform((y_target - y).values)
            behind = run(_join(end, residual), -self.time_step)
            shift = self._displacement(transport, start, middle[{Q: MARKER}], behind[{Q: MARKER}])
            dx = self._carried_back(transport, mean, _only(behind, VORTICITY), shift / (self.time_step * self.steps))
            squares = math.sum(transport.space.basis.inverse(shift) ** 2, "derivative")
            stats = {"displacement": math.sqrt(math.mean(squares, squares.shape.spatial))}
            return Correction(trees.with_values(x, dx), stats=stats)

    def constrain(self, x: Field, y_target: Any) -> Field:
        """Returns the divergence-free part of x."""
        return trees.with_values(x, self._transport(x).project(x.values))

    def _displacement(self, transport: VorticityTransport, start: Tensor, marker: Tensor, residual: Tensor) -> Tensor:
        """Computes coefficients of ξ from those of m and r in the middle of the run."""
        values, slope = transport.scalar(start, MARKER), transport.gradient(start[{Q: MARKER}])
        cells = values.shape.spatial
        slopes = math.sqrt(math.mean(math.sum(slope**2, "derivative"), cells))
        length = math.safe_div(math.std(values, cells), slopes)
        flow = OpticalFlow(transport, self.regularization, self.smoothness * length, ITERATIONS)
        return CoarseToFine(transport, flow, slopes).displacement("IncompressibleFlow", marker, residual)

    def _carried_back(self, transport: VorticityTransport, mean: Tensor, vorticity: Tensor, change: Tensor) -> Tensor:
        """Computes R(u + δu) − R(u) over half the run, per cell."""
        mean_change, vorticity_change = transport.curl(change)
        pair = batch("_with_and_without")
        means = stack([mean + mean_change, mean], pair, expand_values=True)
        vorticities = stack([vorticity + vorticity_change, vorticity], pair, expand_values=True)
        parts = transport.substeps("IncompressibleFlow", means, vorticities, self.time_step)
        steps, dt = self.steps // 2, -self.time_step
        back = transport.run(means, vorticities, dt, steps, substeps=parts, differentiable=False)
        velocity = transport.velocity(means, back[{Q: VORTICITY}])
        return velocity[{pair.name: 0}] - velocity[{pair.name: 1}]

    @property
    def _marker(self) -> Tensor:
        return self.marker.values if isinstance(self.marker, Field) else self.marker

    def _marker_like(self, x: Field) -> Tensor:
        values = math.cast(self._marker, math.DType(float, trees.precision_of(x)))
        return math.convert(values, x.values.default_backend)

    def _transport(self, x: Field) -> VorticityTransport:
        """Returns Fourier space of the grid, once x has been checked."""
        if not isinstance(x, Field) or not x.is_grid or not x.is_centered or x.resolution.rank != 2:
            raise UnsupportedError(
                f"IncompressibleFlow works on two-dimensional centered grids, but got {trees.describe(x)}. Make a "
                f"CenteredGrid with two axes, or sample it at the centers, x.at_centers()."
            )
        if "vector" not in x.values.shape or set(x.values.vector.item_names or ()) != set(x.resolution.names):
            raise UnsupportedError(
                f"IncompressibleFlow: x has the channel dims {x.values.shape.channel}, but a velocity has one "
                f"component per axis. Give it the dim vector={','.join(x.resolution.names)}."
            )
        if set(self._marker.shape.spatial.names) != set(x.resolution.names) or any(
            self._marker.shape.get_size(axis) != x.resolution.get_size(axis) for axis in x.resolution.names
        ):
            raise UnsupportedError(
                f"IncompressibleFlow: the marker has the dims {self._marker.shape.spatial}, x has {x.resolution}. Give "
                f"both on the same grid."
            )
        return VorticityTransport(PeriodicDerivatives(x))


def _only(c: Tensor, index: int) -> Tensor:
    return c[{Q: slice(index, index + 1)}]


def _join(c: Tensor, other: Tensor) -> Tensor:
    return concat([c, math.expand(other, channel(**{Q: 1}))], Q, expand_values=True)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [IncompressibleFlow]
