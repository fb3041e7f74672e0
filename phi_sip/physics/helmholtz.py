"""Helmholtz' equation: the field of a source that oscillates in time, and its exact inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..errors import ParameterError
from ..noise import NoiseLaw
from ..regularization import Regularization
from ..regularization.noise import EmptyModes
from ..spectral import SpectralBasis
from ..spectral.steady_state import steady_state
from ..states import order
from ..states.checks import check_parameter
from ..states.parameters import as_tensor
from .source import SourceProblem

NEAREST = 100.0  # rounding errors ε, by which κ² must differ from the k² of every mode


@dataclass(frozen=True)
class Helmholtz(SourceProblem):
    """
    Helmholtz' equation ∇²y + κ² y = x from the source x to the field y, exact in the eigenfunctions φ_k of the domain:

        F(y − w)_k = F(x − κ² w)_k / (κ² − k²)
        x̃ = x + η (∇² + κ²)(y* − y)

    with F the transform of the boundary condition that y has, and w the harmonic function with its fixed boundary
    values, see `steady_state`. φ_k and k are those of `HeatEquation`: every axis periodic, insulated, fixed to
    a number, or mixed, in 1-D to 3-D. The grid of x carries the boundary of y. All sides reflect: waves that leave the
    domain are not described.

    A wave equation ∂²u/∂t² = c² ∇²u with a source that oscillates like cos(ω t) has such an amplitude y, κ = ω / c.
    The gains 1 / (κ² − k²) change their sign where the waves of the domain are as long as those of the source, and are
    largest there. A mode with k = κ is in resonance: no y solves the equation, and the physics says so. It does so for
    |κ² − k²| ≤ 100 ε max(κ², k₁²), with ε the rounding of the numbers of x and k₁ the longest wave of the domain:
    nearer than that, y would hold this mode and, but for rounding, nothing else. That is 1e-5 of κ² in single and 2e-14
    in double precision.

    κ = 0 is `Poisson`, where a side is fixed. Where none is, the constant is then in resonance: use `Poisson`, which
    leaves it out. For κ > 0, mean x = κ² mean y there: `constrain` gives x this mean.

    Works on centered and periodic staggered grids with any resolution and cell size, any batch dims, scalar or
    vector-valued. With `noise_std=0` and no rule, the inverse is exact.

    Args:
        wavenumber: κ ≥ 0 in 1 / length; a number, or a tensor with batch dims.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, in the units of y; a number, or a tensor with batch
            dims. Default 0: nothing but rounding. `"auto"` or `EmptyModes()` measures it in each observation, see
            `Poisson`.
        regularization: Rule that keeps the inverse stable. Default: `Unregularized()` if σ is 0, else
            `CrossValidated()`.
        noise: How the noise is distributed, see `HeatEquation`.

    Raises:
        ParameterError: if a parameter is negative, not finite, or has other dims than these, or σ is said twice; by
            `forward` and `inverse`, if a mode of the grid is in resonance.
        BoundaryError: by `forward` and `inverse`, for any other boundary, and for staggered grids unless periodic.
        UnsupportedError: by `forward` and `inverse`, if given anything but a `Field` on a uniform grid.

    Example:
        source = CenteredGrid(Noise(), 0, x=64, y=64, bounds=Box(x=10, y=10))
        physics = Helmholtz(wavenumber=1.0)
        step = sip_inverse(physics, physics.forward(source), source * 0)

    Source: Courant, Hilbert, "Methods of Mathematical Physics", volume 1, 1953, chapter V; the modes: separation of
    variables.
    """

    name: ClassVar[str] = "helmholtz"
    constants: ClassVar[tuple[str, ...]] = ("wavenumber",)

    wavenumber: float | Tensor
    noise_std: float | Tensor | EmptyModes | str = 0.0
    regularization: Regularization | None = None
    noise: NoiseLaw | str | None = None

    def __post_init__(self) -> None:
        check_parameter("Helmholtz", "wavenumber", self.wavenumber)
        self._check_noise_and_rule()

    def _log_gain(self, basis: SpectralBasis) -> Tensor:
        """
        Computes log 1 / |κ² − k²|.

        Raises:
            ParameterError: if a mode is in resonance.
        """
        rounding = float(np.finfo(f"float{math.get_precision()}").eps)
        with math.precision(64):
            symbol = self._symbol(basis)
            if symbol.available:
                self._check_resonance(basis, symbol, NEAREST * rounding)
            log_gain = -math.log(abs(symbol))
        return math.to_float(log_gain)

    def _sign(self, basis: SpectralBasis) -> Tensor:
        """Computes the sign of κ² − k²."""
        return math.to_float(order.where(self._symbol(basis) > 0, 1.0, -1.0))

    def _symbol(self, basis: SpectralBasis) -> Tensor:
        """Computes κ² − k² in double precision, by which ∇² + κ² multiplies each mode."""
        with math.precision(64):
            return as_tensor(self.wavenumber) ** 2 - basis.k_squared()

    def _check_resonance(self, basis: SpectralBasis, symbol: Tensor, nearest: float) -> None:
        squares = basis.k_squared()
        longest = math.min(order.where(squares > 0, squares, float("inf")), squares.shape)
        square = as_tensor(self.wavenumber) ** 2
        unit = math.maximum(square, order.where(math.is_finite(longest), longest, 0.0))
        too_near = abs(symbol) <= nearest * unit
        if not bool(too_near.any):
            return
        k = float(math.max(order.where(too_near, squares, 0.0), too_near.shape)) ** 0.5
        raise ParameterError(
            f"Helmholtz: wavenumber = {self.wavenumber} is in resonance with a mode of the domain, k = {k:.9g}: a "
            f"source that holds this mode has no field. Both must differ by more than {nearest:.0e} of their squares. "
            f"Change wavenumber or the size of the domain; for 0, use Poisson(), which leaves the constant out."
        )

    def _offsets(self, basis: SpectralBasis) -> tuple[Tensor, Tensor]:
        """Returns κ² w for the source, and w, the harmonic function, for the field."""
        steady = steady_state(basis)
        return as_tensor(self.wavenumber) ** 2 * steady, steady

    def _mean_of_state(self, y_target: Field, cells: Shape) -> Tensor:
        """Returns κ² times the mean of y*, as ∇² changes no mean."""
        return as_tensor(self.wavenumber) ** 2 * math.mean(y_target.values, cells)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Helmholtz]
