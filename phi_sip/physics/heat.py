"""The heat equation: diffusion of a field, and its regularized inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Tensor, expand, extrapolation

from .. import trees
from ..checks import check_parameter
from ..errors import BoundaryError, ParameterError, UnsupportedError
from ..hookspecs import hookimpl
from ..regularization import ProbabilisticDamping, Regularization, SpectralResidual
from ..spectral import FourierBasis
from .base import Correction, InvertiblePhysics


@dataclass(frozen=True)
class HeatEquation(InvertiblePhysics):
    """
    Heat conduction ∂u/∂t = ν ∇²u from x = u(0) to y = u(t) on a periodic domain, exact in frequency space:

        ŷ_k = x̂_k · h_k,            h_k = exp(−|k|² ν t)
        x̃  = x + F⁻¹(K_k · F(y* − y)),   K_k → 1 / h_k where the observation holds signal

    1 / h_k grows without bound: at ν t = 8 cells² modes shorter than about seven cells are lost in double-precision
    rounding. `regularization` decides from the data, mode by mode, how far to invert.

    Works on centered and periodic staggered grids in any number of spatial dims, with any resolution and cell size,
    any batch dims, scalar or vector-valued. The mean is conserved: `constrain` gives x the mean of y*.

    Args:
        diffusivity: ν in length² / time, ≥ 0; a number, or a tensor with batch dims.
        time: Duration t ≥ 0; a number, or a tensor with batch dims.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, in the units of y; a number, or a tensor with batch
            dims. The rules read it from here. 0: nothing but rounding and the rule's relative uncertainty.
        regularization: Rule that keeps the inverse stable. Default: `ProbabilisticDamping()`.

    Raises:
        ParameterError: if a parameter is negative, not finite, or has other dims than batch dims.
        BoundaryError: by `forward` and `inverse`, if a field is not periodic along all axes.
        UnsupportedError: by `forward` and `inverse`, if given anything but a `Field` on a uniform grid.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    heat-equation experiment; cell sizes as k = 2π n / edge length.
    """

    name: ClassVar[str] = "heat"

    diffusivity: float | Tensor
    time: float | Tensor
    noise_std: float | Tensor = 0.0
    regularization: Regularization | None = None

    def __post_init__(self) -> None:
        for name in ("diffusivity", "time", "noise_std"):
            check_parameter("HeatEquation", name, getattr(self, name))
        if self.regularization is not None and not isinstance(self.regularization, Regularization):
            raise ParameterError(
                f"HeatEquation: regularization is a {type(self.regularization).__name__}. Give an object such as "
                f"ProbabilisticDamping() or PublishedDamping()."
            )

    @property
    def rule(self) -> Regularization:
        """The regularization in use."""
        return self.regularization or ProbabilisticDamping()

    def forward(self, x: Field) -> Field:
        """
        y = F⁻¹(h · F(x)).

        Args:
            x: Initial heat u(0) as a periodic `Field` on a uniform grid.

        Returns:
            Heat u(t) on the same grid.
        """
        basis = _periodic_basis(x, "x")
        with math.precision(trees.precision_of(x)):
            gain = math.exp(self._log_gain(basis))
            return x.with_values(basis.inverse(basis.transform(x.values) * gain))

    def inverse(self, y_target: Field, x: Field, y: Field) -> Correction:
        """
        Δx = F⁻¹(K · F(y_target − y)) with K from `regularization`; x itself does not matter, as the physics is linear.

        Args:
            y_target: Observed heat at time t.
            x: Initial heat to be corrected.
            y: `forward(x)`.

        Returns:
            `Correction` with `stats`: `kernel` K and `signal_probability` per kept mode, `noise_std` per cell as
            reckoned with, and `log_gain` log h.
        """
        basis = _periodic_basis(y_target, "y_target")
        with math.precision(trees.precision_of(y_target)):
            return self._invert(basis, y_target, x, y)

    def _invert(self, basis: FourierBasis, y_target: Field, x: Field, y: Field) -> Correction:
        residual = y_target.values - y.values
        coefficients = basis.transform(residual)
        seen = SpectralResidual(
            math.real(coefficients) ** 2 + math.imag(coefficients) ** 2,
            self._log_gain(basis),
            math.cast(math.wrap(self.noise_std), residual.dtype),
            math.mean(residual**2, basis.resolution),
            math.mean(y_target.values**2, basis.resolution),
            basis,
        )
        estimate = self.rule.estimate(seen)
        stats = {
            "kernel": estimate.kernel,
            "signal_probability": estimate.signal_probability,
            "noise_std": estimate.noise_std,
            "log_gain": seen.log_gain,
        }
        return Correction(
            x.with_values(basis.inverse(coefficients * estimate.kernel)),
            lambda: x.with_values(expand(estimate.uncertainty(), basis.resolution)),
            stats,
        )

    def constrain(self, x: Field, y_target: Field) -> Field:
        """x + mean y* − mean x: diffusion on a periodic domain conserves the mean of every component."""
        cells = _periodic_basis(x, "x").resolution
        _periodic_basis(y_target, "y_target")
        with math.precision(trees.precision_of(x)):
            return x.with_values(x.values + (math.mean(y_target.values, cells) - math.mean(x.values, cells)))

    def _log_gain(self, basis: FourierBasis) -> Tensor:
        """log h_k = −|k|² ν t, computed in double precision and rounded to the current one."""
        with math.precision(64):
            exponent = -basis.k_squared() * (self.diffusivity * self.time)
        return math.to_float(exponent)


def _periodic_basis(field: Field, name: str) -> FourierBasis:
    if not isinstance(field, Field) or not field.is_grid:
        raise UnsupportedError(
            f"HeatEquation needs {name} as a Field on a uniform grid, which knows its cell size and boundary, but got "
            f"{type(field).__name__}. Make one with CenteredGrid(values, extrapolation.PERIODIC, bounds=...)."
        )
    if field.boundary != extrapolation.PERIODIC:
        raise BoundaryError(
            f"HeatEquation is exact for periodic boundaries only, but {name} has boundary '{field.boundary}'. "
            f"Create the grid with extrapolation.PERIODIC if the domain is periodic."
        )
    return FourierBasis.of(field)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [HeatEquation]
