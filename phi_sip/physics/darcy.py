"""Darcy's law: the pressure in a porous medium, for the permeability or the source as the unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..regularization import Regularization
from ..spectral import SpectralBasis
from ..spectral.conduction import Conduction
from ..states import trees
from .fitted import FittedPrior
from .on_cells import check_on_cells, on_cells


@dataclass(frozen=True, eq=False)
class Darcy(FittedPrior):
    """
    Steady flow through a porous medium, or steady heat conduction, observed as the pressure u:

        −∇·(a ∇u) = f,   y = u

    | given | unknown | |
    |---|---|---|
    | `Darcy(source=f)` | x = log a, so that a = eˣ > 0 | nonlinear: a solver inverts it |
    | `Darcy(coefficient=a)` | x = f | linear: x̃ = x − η ∇·(a ∇(y* − y)), exact, local |

    The closed form amplifies noise by a / dx²: with `noise_std`, conjugate gradients take its place and stop where the
    noise explains the rest; with a `regularization` it is `MaximumAPosteriori`, for either unknown.

    Finite volumes on the cells, second order: the flow through a face goes by the harmonic mean of a in the two cells.
    The grid of x carries the boundary of u: each side is periodic, insulated, or fixed to a number, such as 0 for walls
    at that pressure. Where no side is fixed there is a solution only if the mean of f is 0, and u is known up to a
    constant. The mean of f is then ignored, y has mean 0, and `constrain` gives x = f the mean 0. log a is determined
    where u has a slope only.

    y is exact up to rounding: preconditioned conjugate gradients, see `Conduction`. Its derivatives are by the implicit
    function theorem: a product with J or Jᵀ takes one more solution.

    Works on scalar centered grids in 1-D to 3-D with any cell size and any batch dims.

    Args:
        source: f, in units of a · u / length²: a number, or a `Tensor` or `Field` on the cells of x; batch dims
            allowed. Then x = log a.
        coefficient: a > 0, likewise. Then x = f.
        noise_std: Standard deviation σ ≥ 0 of white noise in y*, in the units of y; a number, or a tensor with batch
            dims. Default: not known; nothing but rounding.
        regularization: `EmpiricalBayes()` or another rule, see `DifferentiablePhysics`.

    Raises:
        ParameterError: unless exactly one of `source` and `coefficient` is given, or if one is out of range or not
            finite, or for `noise_std` and `regularization` as `DifferentiablePhysics` does.
        UnsupportedError: if they are of another type; by `forward`, if x is no scalar `Field` on a centered grid.
        GridMismatchError: by `forward`, if they are on other cells than x.
        BoundaryError: by `forward`, for any other boundary.

    Source: Darcy, "Les fontaines publiques de la ville de Dijon", 1856; Eymard, Gallouët, Herbin, "Finite volume
    methods", 2000; as an inverse problem: Li et al., "Fourier Neural Operator", ICLR 2021, section 5.2.
    """

    name: ClassVar[str] = "darcy"
    varying: ClassVar[tuple[str, ...]] = ()  # whether σ is 0 decides how to invert

    source: float | Tensor | Field | None = None
    coefficient: float | Tensor | Field | None = None
    noise_std: float | Tensor | None = None
    regularization: Regularization | None = None

    def __post_init__(self) -> None:
        if (self.source is None) == (self.coefficient is None):
            given = "neither" if self.source is None else "both"
            raise ParameterError(
                f"Darcy: {given} of source and coefficient was given, but one is the unknown. Give source=f to look "
                f"for x = log a, or coefficient=a to look for x = f."
            )
        check_on_cells("Darcy", *self._given, positive=self.is_linear)
        self._check_noise_and_prior()

    @property
    def is_linear(self) -> bool:
        """Whether the source is the unknown."""
        return self.coefficient is not None

    @property
    def has_inverse(self) -> bool:
        """Whether the closed form inverts: for the source, without noise and without a prior."""
        exact = self.noise_std is None or (isinstance(self.noise_std, (int, float)) and self.noise_std == 0)
        return self.is_linear and exact and self.regularization is None

    def forward(self, x: Field) -> Field:
        """
        Computes y = u.

        Args:
            x: log a or f, a scalar centered grid.
        """
        with math.precision(trees.precision_of(x)):
            conduction, (state, given), cells = self._problem(x)
            source, resistivity = (state, 1 / given) if self.is_linear else (given, conduction.backend.exp(-state))
            conductivities = conduction.conductivities(resistivity)
            u = conduction.implicit_solve(conductivities, source + conduction.inflow(conductivities))
            return trees.with_values(x, math.reshaped_tensor(u, cells, convert=False))

    def inverse(self, y_target: Field, x: Field, y: Field) -> Correction:
        """Computes Δx = −∇·(a ∇(y_target − y)) for the source."""
        with math.precision(trees.precision_of(x)):
            conduction, (residual, given), cells = self._problem(trees.subtract(y_target, y))
            dx = conduction.multiply(conduction.conductivities(1 / given), residual)
            return Correction(trees.with_values(x, math.reshaped_tensor(dx, cells, convert=False)))

    def constrain(self, x: Field, y_target: Any) -> Field:
        """Returns the source with mean 0 if no side is fixed; x itself elsewhere."""
        if not self.is_linear or not self._problem(x)[0].is_singular:
            return x
        with math.precision(trees.precision_of(x)):
            return trees.with_values(x, x.values - math.mean(x.values, x.resolution))

    @property
    def _given(self) -> tuple[str, Any]:
        """Name and value of the parameter that was given."""
        return ("coefficient", self.coefficient) if self.is_linear else ("source", self.source)

    def _problem(self, x: Field) -> tuple[Conduction, list[Any], list[Shape]]:
        """
        Returns the equation on the grid of x; x and what is given as native tensors; and the groups of their dims. It
        checks x.
        """
        if not isinstance(x, Field) or not x.is_grid or not x.is_centered or x.values.shape.channel:
            raise UnsupportedError(
                f"Darcy works on scalar centered grids, but got {trees.describe(x)}. Make a CenteredGrid without "
                f"channel dims, with the boundary that u has, e.g. CenteredGrid(values, 0, ...)."
            )
        given = on_cells("Darcy", *self._given, x)
        basis = SpectralBasis.of(x)
        cells = [x.values.shape.batch & given.shape.batch, *basis.resolution]
        natives = [math.expand(values, cells[0] & x.resolution).native(cells) for values in (x.values, given)]
        return Conduction.of(basis, x.values.default_backend), natives, cells


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Darcy]
