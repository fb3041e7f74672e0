"""Poisson's equation: the potential of a source, and its exact inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor

from ..contract.markers import hookimpl
from ..contract.physics import InvertiblePhysics
from ..noise import NoiseLaw
from ..regularization import Regularization
from ..regularization.noise import EmptyModes
from ..spectral import SpectralBasis
from ..spectral.steady_state import steady_state
from ..states import order
from .source import SourceProblem


@dataclass(frozen=True)
class Poisson(SourceProblem):
    """
    Poisson's equation ∇²y = x from the source x to the potential y, exact in the eigenfunctions φ_k of the domain:

        y = ∇⁻² x:   F(y − w)_k = −F(x)_k / k²
        x̃ = x − η ∇²(y − y*)

    with F the transform of the boundary condition that y has, and w the harmonic function with its fixed boundary
    values, see `steady_state`. φ_k and k are those of `HeatEquation`: every axis periodic, insulated, fixed to
    a number, or mixed, in 1-D to 3-D. The grid of x carries the boundary of y.

    Where no side is fixed there is a solution only if the mean of x is 0, and y is known up to a constant. The mean of
    x is then ignored, y has mean 0, the mean of y* does not matter, and `constrain` gives x the mean 0.

    The gains range from (L / 2π)² to (dx / π)² per axis: gradients through the physics hardly see short waves.
    Noise is amplified by k². With `noise_std=0` and no rule, the inverse is exact.

    Works on centered and periodic staggered grids with any resolution and cell size, any batch dims, scalar or
    vector-valued.

    Args:
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, in the units of y; a number, or a tensor with batch
            dims. Default 0: nothing but rounding. `"auto"` or `EmptyModes()` measures it in each observation, but the
            gains fall too slowly to empty many modes: weak noise is not found, and y* then taken at its word.
        regularization: Rule that keeps the inverse stable. Default: `Unregularized()` if σ is 0, else
            `CrossValidated()`.
        noise: How the noise is distributed, see `HeatEquation`.

    Raises:
        ParameterError: if `noise_std` is negative, not finite, has other dims than these, or is said twice.
        BoundaryError: by `forward` and `inverse`, for any other boundary, and for staggered grids unless periodic.
        UnsupportedError: by `forward` and `inverse`, if given anything but a `Field` on a uniform grid.

    Source: Holl, Koltun, Thuerey, "Scale-invariant Learning by Physics Inversion", NeurIPS 2022 (arXiv 2109.15048),
    Poisson experiment; the modes: separation of variables.
    """

    name: ClassVar[str] = "poisson"
    sees_constant: ClassVar[bool] = False

    noise_std: float | Tensor | EmptyModes | str = 0.0
    regularization: Regularization | None = None
    noise: NoiseLaw | str | None = None

    def __post_init__(self) -> None:
        self._check_noise_and_rule()

    def _log_gain(self, basis: SpectralBasis) -> Tensor:
        """Computes log 1 / k²; that of the longest wave for the constant, which is not seen."""
        with math.precision(64):
            squares = basis.k_squared()
            least = math.min(order.where(basis.is_constant > 0, float("inf"), squares), basis.resolution.names)
            least = order.where(math.is_finite(least), least, 1.0)
            log_gain = -math.log(math.maximum(squares, least))
        return math.to_float(log_gain)

    def _sign(self, basis: SpectralBasis) -> float:
        """Returns −1."""
        return -1.0

    def _offsets(self, basis: SpectralBasis) -> tuple[Tensor, Tensor]:
        """Returns 0 for the source, and the harmonic function for the potential."""
        return math.to_float(math.wrap(0.0)), steady_state(basis)

    def _mean_of_state(self, y_target: Field, cells: Shape) -> Tensor:
        """Returns 0, as no other mean has a solution."""
        return math.wrap(0.0)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Poisson]
