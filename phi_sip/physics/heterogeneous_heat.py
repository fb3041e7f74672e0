"""Heat conduction in a body whose diffusivity varies in space, and around obstacles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from phi.field import Field
from phiml import math
from phiml.backend import NUMPY
from phiml.math import EMPTY_SHAPE, Shape, Tensor, spatial

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..regularization import Regularization
from ..spectral import chebyshev
from ..spectral.basis import weight_of
from ..spectral.diffusivity import VaryingDiffusion
from ..spectral.sides import Fixed, Side, sides_of
from ..states import order, trees
from ..states.checks import check_axes, check_parameter, check_same_cells
from ..states.parameters import as_tensor
from .fitted import FittedPrior
from .obstacles import as_geometries, outside

ROUNDED = 1e-6  # relative, by which ν may exceed its bound
MOST = 1e6  # z, for which 8,500 polynomials are needed in double precision


@dataclass(frozen=True, eq=False)
class HeterogeneousHeat(FittedPrior):
    """
    Heat conduction ∂u/∂t = ∇·(ν(x) ∇u) from x = u(0) to y = u(t), in a body whose diffusivity ν varies in space, and
    around obstacles, through which nothing flows:

        y = exp(−t A) x,   (A u)_i = Σ_neighbours j  g_ij (u_i − u_j) / dx²,   g_ij = 2 ν_i ν_j / (ν_i + ν_j)

    Finite volumes of second order in the cell size. The exponential is exact to rounding, for any t: there are no time
    steps. It is a sum of Chebyshev polynomials of A, one product with A each: in two dimensions about 17 √(ν t) / dx in
    double precision, 11 in single, for the largest ν. P is linear and equal to its own adjoint, conserves heat to
    rounding where no side is fixed, and never exceeds the largest and smallest values of x and its sides by more than
    rounding. Boundaries are those of `HeatEquation`, per axis and side: periodic, insulated, or fixed to a number c at
    the outer faces.

    Obstacles, and cells with ν = 0, keep the heat that they have, y = x, and exchange none. What is not observed there
    can be left out by `Masked`. Where no side is fixed, `constrain` gives x the mean of y* over the cells that conduct.

    There is no closed-form inverse: a solver for linear physics stands in, see `Linear`. Where ν is the same everywhere
    and there is no obstacle, `HeatEquation` is faster, has one, and is exact in space too.

    Works on centered grids in any number of spatial dims, with any resolution and cell size, any batch dims, scalar or
    vector-valued.

    Args:
        diffusivity: ν ≥ 0 in length² / time: a `Field` on the grid of x, a `Tensor` with its spatial dims, or with some
            of them, as of layers, or a number. Batch dims for a body of each sample; a channel dim `vector` that names
            the axes gives each axis its own.
        time: Duration t ≥ 0; a number, or a tensor with batch dims.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, in the units of y, at which numerical inverses stop; a
            number, or a tensor with batch dims, or with dims of y*, where sensors differ. Default: not known.
        regularization: `EmpiricalBayes()`: the prior of a Gaussian field, fitted to each observation, together with σ
            if `noise_std` does not say it; or another rule that needs no closed form, see `MaximumAPosteriori`.
            Default: none.
        obstacles: Geometries, or `Obstacle`s at rest, as PhiFlow has them: one, or a sequence. Cells whose center lies
            inside do not conduct.
        max_diffusivity: A bound of ν, a number, or a tensor with batch dims, from which the number of polynomials
            follows. Default: the largest value of ν. Give it where ν differs from update to update, or is computed in a
            graph: what is compiled then takes ν as an input, and serves for all.

    Raises:
        ParameterError: if a parameter is negative, not finite, or has other dims than these, if ν exceeds
            `max_diffusivity`, or `regularization` needs a closed form; by `forward`, if `diffusivity` or an obstacle
            names other axes than the grid has, ν is not known and `max_diffusivity` not given, or ν t is over 10⁵
            cells².
        GridMismatchError: by `forward`, if `diffusivity` is on another grid than x.
        BoundaryError: by `forward`, for any other boundary.
        UnsupportedError: if an obstacle moves, or is none; by `forward`, if given anything but a centered grid.

    Example:
        grid = dict(x=64, y=64, extrapolation=extrapolation.ZERO_GRADIENT)
        layers = CenteredGrid(lambda p: math.where(p["x"] < 32, 1.0, 0.1), **grid)
        physics = HeterogeneousHeat(layers, time=8.0, noise_std=1e-3, obstacles=Sphere(x=20, y=40, radius=8))
        y = physics.forward(CenteredGrid(Noise(), **grid))

    Source: Patankar, "Numerical Heat Transfer and Fluid Flow", 1980, section 4.2-3 (finite volumes); Tal-Ezer,
    "Spectral methods in time for parabolic problems", 1989 (Chebyshev polynomials).
    """

    name: ClassVar[str] = "heterogeneous-heat"

    diffusivity: float | Tensor | Field
    time: float | Tensor
    noise_std: float | Tensor | None = None
    regularization: Regularization | None = None
    obstacles: Any = ()
    max_diffusivity: float | Tensor | None = None

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_parameter(owner, "time", self.time)
        if self.max_diffusivity is not None:
            check_parameter(owner, "max_diffusivity", self.max_diffusivity)
        if isinstance(self.diffusivity, Field) and not (self.diffusivity.is_grid and self.diffusivity.is_centered):
            raise UnsupportedError(
                f"{owner}: diffusivity is a Field on no centered grid. Give its values at the centers of the cells."
            )
        check_parameter(owner, "diffusivity", _values(self.diffusivity), per_axis=True, per_cell=True)
        self._check_noise_and_prior()
        object.__setattr__(self, "obstacles", as_geometries(owner, self.obstacles))
        self._check_bound()

    @property
    def constants(self) -> tuple[str, ...]:  # type: ignore[override]
        """ν is no input of what is compiled if its values say how many polynomials there are."""
        always = ("time", "obstacles", "max_diffusivity")
        return ("diffusivity", *always) if self.max_diffusivity is None else always

    @property
    def network_parameters(self) -> Mapping[str, Any]:
        """ν and t; the bound of ν is none."""
        return {name: value for name, value in super().network_parameters.items() if name != "max_diffusivity"}

    @property
    def is_linear(self) -> bool:
        """True."""
        return True

    def forward(self, x: Field) -> Field:
        """
        Computes y = exp(−t A) x, with what flows in from sides that are fixed to a number.

        Args:
            x: State as a `Field` on a centered grid.

        Returns:
            Observation on the same grid.
        """
        axes, sides = self._axes(x)
        precision = trees.precision_of(x)
        with math.precision(precision):
            half = self._half_range(x)
            rates = [math.to_float(rate * (2 / half)) for rate in self._rates(x, axes)]
            per_sample = math.merge_shapes(*(rate.shape.batch for rate in rates))
            rows = per_sample & x.values.shape.without(axes)
            cells, backend = spatial(**{axis: x.resolution.get_size(axis) for axis in axes}), x.values.default_backend

            def native(tensor: Tensor, dims: Shape) -> Any:
                return math.convert(math.expand(tensor, dims & cells), backend).native([dims, *axes])

            decay = _Decay(VaryingDiffusion(backend, tuple(sides)))
            nu = [native(rate, rows if per_sample else EMPTY_SHAPE) for rate in rates]
            y = decay.after(nu, native(x.values, rows), half, float(np.finfo(f"float{precision}").eps))
            return trees.with_values(x, math.reshaped_tensor(y, [rows, *cells], convert=False))

    def constrain(self, x: Field, y_target: Field) -> Field:
        """Returns x with the mean of y* over the cells that conduct, per component; x itself if a side is fixed."""
        axes, sides = self._axes(x)
        if any(isinstance(side, Fixed) for pair in sides for side in pair):
            return x
        with math.precision(trees.precision_of(x)):
            conducts = math.to_float(sum(self._rates(x, axes)) > 0)
            conducts = math.expand(conducts, x.resolution)
            missing = (order.matched(y_target.values, x.values.shape) - x.values) * conducts
            mean = math.sum(missing, axes) / math.maximum(math.sum(conducts, axes), 1.0)
            return trees.with_values(x, x.values + mean * conducts)

    def _half_range(self, x: Field) -> float:
        """
        Computes z: the eigenvalues of t A are from 0 to at most 2 z = 4 t Σ_a max ν_a / dx_a².

        Raises:
            ParameterError: if ν is not known, or so large that the computation would hardly end.
        """
        amount = self._largest
        if amount is None:
            raise ParameterError(
                "HeterogeneousHeat: the values of diffusivity or time are not known while the computation is compiled, "
                "but decide how much there is to compute. Give max_diffusivity=..., a bound of ν, and time as a number."
            )
        with NUMPY, math.precision(64):
            terms = [weight_of(amount, axis) / float(x.dx.vector[axis]) ** 2 for axis in x.resolution.names]
            half = 2 * (1 + ROUNDED) * float(math.wrap(sum(terms[1:], terms[0])).max)
        if not half <= MOST:
            raise ParameterError(
                f"HeterogeneousHeat: heat spreads over √(ν t) = {np.sqrt(half / 2):.2g} cells, which would take "
                f"thousands of products with the whole grid. Check the units of diffusivity, time and bounds, or use "
                f"coarser cells."
            )
        return max(half, 1e-3)

    @cached_property
    def _largest(self) -> Tensor | None:
        """t max ν in double precision, on the host, where it is no part of what is being compiled; `None`: unknown."""
        nu = math.wrap(_values(self.diffusivity) if self.max_diffusivity is None else self.max_diffusivity)
        time = math.wrap(self.time)
        if not nu.available or not time.available:
            return None
        nu, time = (trees.to_backend(tensor, NUMPY) for tensor in (nu, time))
        with NUMPY, math.precision(64):
            return math.max(nu, nu.shape.spatial) * math.to_float(time)

    def _rates(self, x: Field, axes: Sequence[str]) -> list[Tensor]:
        """Computes ν_a t / dx_a² per axis, 0 inside of obstacles, in double precision."""
        with math.precision(64):
            time, free = as_tensor(self.time), math.to_float(outside("HeterogeneousHeat", self.obstacles, x))
            return [weight_of(self._nu, axis) * free * time / float(x.dx.vector[axis]) ** 2 for axis in axes]

    @property
    def _nu(self) -> Tensor:
        """ν, with the dims that were given."""
        return as_tensor(_values(self.diffusivity))

    def _check_bound(self) -> None:
        """
        Checks ν ≤ `max_diffusivity`.

        Raises:
            ParameterError: if it is larger.
        """
        nu = math.wrap(_values(self.diffusivity))
        if self.max_diffusivity is None or not nu.available:
            return
        if bool((nu > self.max_diffusivity * (1 + ROUNDED)).any):
            largest = float(math.max(nu, nu.shape))
            raise ParameterError(
                f"HeterogeneousHeat: max_diffusivity = {self.max_diffusivity}, but diffusivity is up to {largest:.9g}, "
                f"for which the sum of polynomials would not converge. Give a bound that holds for all samples."
            )

    def _axes(self, x: Any) -> tuple[tuple[str, ...], list[tuple[Side, Side]]]:
        """
        Returns the axes of a state by name, and their sides.

        Raises:
            UnsupportedError: if it is on no centered grid.
        """
        if not isinstance(x, Field) or not x.is_grid or not x.is_centered:
            kind = "a staggered grid" if isinstance(x, Field) and x.is_grid else f"a {type(x).__name__}"
            raise UnsupportedError(
                f"HeterogeneousHeat needs a Field on a centered grid, which has a diffusivity in each cell, but got "
                f"{kind}. Make one with CenteredGrid(values, extrapolation.ZERO_GRADIENT, bounds=...)."
            )
        check_axes("HeterogeneousHeat", "diffusivity", self._nu, x.resolution.names)
        check_same_cells("HeterogeneousHeat", "diffusivity", self.diffusivity, x)
        axes = order.by_name(x.resolution.names)
        return axes, [sides_of(x.boundary, axis) for axis in axes]


def _values(diffusivity: Any) -> Any:
    return diffusivity.values if isinstance(diffusivity, Field) else diffusivity


@dataclass(frozen=True)
class _Decay:
    """
    exp(−t A) u + ∫ exp(−τ A) b dτ, by polynomials of B = 1 − t A / z, whose eigenvalues are between −1 and 1.

    Attributes:
        flux: Computes 2 t A / z from 2 t ν / z.
    """

    flux: VaryingDiffusion

    def after(self, rates: Sequence[Any], u: Any, half: float, rounding: float) -> Any:
        """
        Computes it.

        Args:
            rates: 2 t ν_a / (z dx_a²), a native tensor for each axis.
            u: Native tensor.
            half: z.
            rounding: Relative rounding of the numbers.
        """
        g, backend = self.flux.conductances(rates), self.flux.backend
        y = chebyshev.polynomial(backend, self, g, chebyshev.exponential(half, rounding), u)
        if not self.flux.has_inflow:
            return y
        b = (half / 2) * self.flux.inflow(g, rates[0])
        return y + chebyshev.polynomial(backend, self, g, chebyshev.mean_exponential(half, rounding), b)

    def __call__(self, constants: Any, v: Any) -> Any:
        """Computes 2 B v, with the conductances."""
        return 2 * v - self.flux.apply(constants, v)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [HeterogeneousHeat]
