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
from ..errors import GridMismatchError, ParameterError, UnsupportedError
from ..regularization import Regularization
from ..spectral import SpectralBasis
from ..spectral.conduction import Conduction
from ..states import trees
from .numerical import NumericallyInverted


@dataclass(frozen=True, eq=False)
class Darcy(NumericallyInverted):
    """
    Steady flow through a porous medium, or steady heat conduction, observed as the pressure u:

        −∇·(a ∇u) = f,   y = u

    | given | unknown | |
    |---|---|---|
    | `Darcy(source=f)` | x = log a, so that a = eˣ > 0 | nonlinear: a solver inverts it |
    | `Darcy(coefficient=a)` | x = f | linear: x̃ = x − η ∇·(a ∇(y* − y)), exact, local |

    The closed form amplifies noise by a / dx²: with `noise_std`, conjugate gradients take its place and stop where the
    noise explains the rest; with `regularization=EmpiricalBayes()` it is `GaussianProcess`.

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
        regularization: `EmpiricalBayes()`, see `DifferentiablePhysics`. For `coefficient=a` only.

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
    how_to_be_linear: ClassVar[str] = "Give the permeability, coefficient=..., to look for the source"

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
        name = "source" if self.coefficient is None else "coefficient"
        _check_parameter(name, self._given, positive=self.is_linear)
        self._check_noise_and_rule()

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
        conduction, cells = self._conduction(x)
        with math.precision(trees.precision_of(x)):
            state, given = (self._native(values, x, cells) for values in (x.values, self._values))
            source, resistivity = (state, 1 / given) if self.is_linear else (given, conduction.backend.exp(-state))
            conductivities = conduction.conductivities(resistivity)
            u = conduction.implicit_solve(conductivities, source + conduction.inflow(conductivities))
            return trees.with_values(x, math.reshaped_tensor(u, cells, convert=False))

    def inverse(self, y_target: Field, x: Field, y: Field) -> Correction:
        """Computes Δx = −∇·(a ∇(y_target − y)) for the source."""
        conduction, cells = self._conduction(x)
        with math.precision(trees.precision_of(x)):
            residual = self._native((y_target - y).values, x, cells)
            conductivities = conduction.conductivities(1 / self._native(self._values, x, cells))
            dx = conduction.multiply(conductivities, residual)
            return Correction(trees.with_values(x, math.reshaped_tensor(dx, cells, convert=False)))

    def constrain(self, x: Field, y_target: Any) -> Field:
        """Returns the source with mean 0 if no side is fixed; x itself elsewhere."""
        if not self.is_linear or not self._conduction(x)[0].is_singular:
            return x
        with math.precision(trees.precision_of(x)):
            return trees.with_values(x, x.values - math.mean(x.values, x.resolution))

    @property
    def _given(self) -> Any:
        return self.coefficient if self.source is None else self.source

    @property
    def _values(self) -> Tensor:
        return self._given.values if isinstance(self._given, Field) else math.wrap(self._given)

    def _native(self, values: Tensor, x: Field, cells: Sequence[Shape]) -> Any:
        """Returns values as a native tensor like x, with the rows first and then the axes."""
        values = math.convert(math.cast(values, math.DType(float, trees.precision_of(x))), x.values.default_backend)
        return math.expand(values, cells[0] & x.resolution).native([*cells])

    def _conduction(self, x: Field) -> tuple[Conduction, list[Shape]]:
        """Returns the equation on the grid of x, and the groups of dims of its native tensors; checks x."""
        if not isinstance(x, Field) or not x.is_grid or not x.is_centered or x.values.shape.channel:
            raise UnsupportedError(
                f"Darcy works on scalar centered grids, but got {trees.describe(x)}. Make a CenteredGrid without "
                f"channel dims, with the boundary that u has, e.g. CenteredGrid(values, 0, ...)."
            )
        values = self._values
        if any(
            n not in x.resolution or values.shape.get_size(n) != x.resolution.get_size(n)
            for n in values.shape.non_batch.names
        ):
            raise GridMismatchError(
                f"Darcy: what was given has the dims {values.shape.non_batch}, x has {x.resolution}. Give it on the "
                f"cells of x, without other dims than those of the batch."
            )
        basis = SpectralBasis.of(x)
        rows = x.values.shape.batch & values.shape.batch
        return Conduction.of(basis, x.values.default_backend), [rows, *basis.resolution]


def _check_parameter(name: str, value: Any, positive: bool) -> None:
    """Checks that f or a is a number, or a `Tensor` or `Field` of finite numbers, positive ones if needed."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Tensor, Field)):
        raise UnsupportedError(
            f"Darcy: {name} is a {type(value).__name__}. Give a number, or a Tensor or Field on the cells of x."
        )
    tensor = value.values if isinstance(value, Field) else math.wrap(value)
    if not tensor.available:
        return
    with math.precision(64):
        finite, least = bool(math.is_finite(tensor).all), float(math.min(tensor, tensor.shape))
    if not finite:
        raise ParameterError(f"Darcy: {name} is not finite everywhere. Check how it was computed.")
    if positive and least <= 0:
        raise ParameterError(
            f"Darcy: {name} is {least:g} somewhere, but a permeability is > 0. For cells that nothing flows through "
            f"give a small positive number."
        )


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Darcy]
