"""The basis of a grid: the product of the modes of its axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor, channel, expand, spatial

from ..errors import BoundaryError
from ..states import order
from .modes import Fourier, Modes
from .sides import Fixed, Insulated, Periodic, Side, sides_of
from .trigonometric import Cosine, QuarterCosine, QuarterSine, RealModes, Sine

_REAL: dict[tuple[type[Side], type[Side]], type[RealModes]] = {
    (Insulated, Insulated): Cosine,
    (Fixed, Fixed): Sine,
    (Insulated, Fixed): QuarterCosine,
    (Fixed, Insulated): QuarterSine,
}


@dataclass(frozen=True, eq=False)
class SpectralBasis:
    """
    Orthonormal eigenfunctions φ_k of the Laplacian on a uniform grid: ∇²φ_k = −|k|² φ_k, u = Σ_k c_k φ_k.

    | sides of an axis | modes | k |
    |---|---|---|
    | periodic | exp(i k x), half of them kept | 2π n / L |
    | insulated, insulated | cos(k x), DCT-II | π n / L |
    | fixed, fixed | sin(k x), DST-II | π (n + 1) / L |
    | insulated, fixed | cos(k x), DCT-IV | π (n + ½) / L |
    | fixed, insulated | sin(k x), DST-IV | π (n + ½) / L |

    White noise of standard deviation σ per cell has E|c_k|² = σ² in every mode. Fixed values count as 0: subtract
    `steady_state` where they are not. Boundaries hold at the outer faces of the outermost cells. There is one object
    per kind of grid, which keeps what depends on the grid alone. Its axes are in the order of their names, whatever
    their order in a field is. Half of the modes of the last periodic axis are kept, and modes are counted, drawn and
    sorted in this order.

    Attributes:
        resolution: Spatial shape, cells per axis, in the order of their names.
        size: Edge lengths of the domain along the dim `vector`.
        sides: Lower and upper side of each axis, in the order of `resolution`.
    """

    constants: ClassVar[tuple[str, ...]] = ("size",)

    resolution: Shape
    size: Tensor
    sides: tuple[tuple[Side, Side], ...]

    @staticmethod
    def of(field: Field) -> SpectralBasis:
        """
        Returns the basis of the grid that `field` lives on. There is one object per kind of grid.

        Raises:
            BoundaryError: if its boundary is none of the above, or if it is staggered and not periodic.
        """
        axes = order.by_name(field.resolution.names)
        sides = tuple(sides_of(field.boundary, axis) for axis in axes)
        if field.is_staggered and any(pair != (Periodic(), Periodic()) for pair in sides):
            raise BoundaryError(
                f"A staggered grid with boundary {field.boundary} holds different numbers of faces per component, "
                f"which have no common basis. Use extrapolation.PERIODIC, or sample it at the centers first."
            )
        lengths = tuple(float(field.bounds.size.vector[axis]) for axis in axes)
        return _basis(axes, tuple(field.resolution.get_size(axis) for axis in axes), lengths, sides)

    @cached_property
    def factors(self) -> tuple[Modes, ...]:
        """Real modes per axis, then the Fourier modes of all periodic axes."""
        kinds = {name: (type(a), type(b)) for name, (a, b) in zip(self.resolution.names, self.sides, strict=True)}
        real = [_REAL[kind](self.resolution.only(name), self.size) for name, kind in kinds.items() if kind in _REAL]
        periodic = self.resolution.only([name for name, kind in kinds.items() if kind not in _REAL])
        return (*real, *([Fourier(periodic, self.size)] if periodic else []))

    @property
    def modes(self) -> Shape:
        """Coefficients kept per axis."""
        kept = {name: modes.kept.get_size(name) for modes in self.factors for name in modes.cells.names}
        return spatial(**{name: kept[name] for name in self.resolution.names})

    @property
    def is_real(self) -> bool:
        """Whether coefficients are real, i.e. no axis is periodic."""
        return all(modes.is_real for modes in self.factors)

    @property
    def conserves_mean(self) -> bool:
        """Whether diffusion keeps the mean, i.e. no side is fixed."""
        return all(modes.conserves_mean for modes in self.factors)

    @cached_property
    def ranks(self) -> dict[str, np.ndarray]:
        """Place of |k_a| among those of its axis a for each kept mode, counted from 0; the same for k and −k."""
        found = {axis: k.numpy(axis) for axis, k in self.axis_wavenumbers.items()}
        return {a: np.unique(np.round(k / max(k.max(), 1e-300), 9), return_inverse=True)[1] for a, k in found.items()}

    def k_squared(self, weights: Tensor | float = 1.0) -> Tensor:
        """
        Computes Σ_a w_a k_a² of the kept modes in float64.

        Args:
            weights: w: a number, or a tensor; a dim `vector` names the axes, all others are kept.
        """
        with math.precision(64):
            parts = [weight_of(weights, axis) * k**2 for axis, k in self.axis_wavenumbers.items()]
            return sum(parts[1:], parts[0])

    @cached_property
    def is_constant(self) -> Tensor:
        """1 for the mode of the constant, 0 for all others, in float64."""
        with math.precision(64):
            return math.to_float(self.k_squared() == 0)

    def multiplicity(self) -> Tensor:
        """Returns how many of all modes each kept one stands for: 2 where its conjugate is left out, else 1."""
        return self.factors[-1].multiplicity()

    def transform(self, values: Tensor) -> Tensor:
        """Computes the coefficients c_k of real `values` per cell. Other dims are kept, and the order of all."""
        result = values
        for modes in self.factors:
            result = modes.transform(result)
        return order.in_order_of(result, values.shape)

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Computes values per cell from the kept coefficients. Other dims are kept, and the order of all."""
        result = coefficients
        for modes in reversed(self.factors):
            result = modes.inverse(result)
        return order.in_order_of(result, coefficients.shape)

    @cached_property
    def coarse(self) -> SpectralBasis | None:
        """That of half as many cells per axis; `None` if a number of cells is odd."""
        if any(n % 2 for n in self.resolution.sizes):
            return None
        lengths = tuple(float(self.size.vector[axis]) for axis in self.resolution.names)
        halves = tuple(n // 2 for n in self.resolution.sizes)
        return _basis(tuple(self.resolution.names), halves, lengths, self.sides)

    def restrict(self, coefficients: Tensor) -> Tensor:
        """Returns the coefficients of the modes of `coarse`, where white noise has E|c_k|² = σ² as here."""
        for modes in self.factors:
            coefficients = modes.restrict(coefficients)
        return coefficients

    def sum(self, per_mode: Tensor) -> Tensor:
        """Computes Σ over all modes of a quantity that is given for the kept ones."""
        return math.sum(self.multiplicity() * per_mode, self.resolution.names)

    def variance_per_cell(self, mode_variance: Tensor) -> Tensor:
        """
        Computes Var u(cell) = Σ_k m_k var_k |φ_k|² of u = Σ_k c_k φ_k with independent c_k, m_k as `multiplicity`.

        Args:
            mode_variance: var_k = E|c_k|² of the kept modes. Other dims are kept.

        Returns:
            Variance in every cell; the same in all along periodic axes.
        """
        whole = variance = expand(mode_variance, self.modes)
        for modes in self.factors:
            variance = modes.variance_per_cell(variance)
        return order.in_order_of(variance, whole.shape)

    @cached_property
    def axis_wavenumbers(self) -> dict[str, Tensor]:
        """|k_a| of the kept modes per axis a in float64, unit 1/length."""
        with math.precision(64):
            return {axis: k for modes in self.factors for axis, k in modes.wavenumbers().items()}


@lru_cache(maxsize=64)
def _basis(
    names: tuple[str, ...], sizes: tuple[int, ...], lengths: tuple[float, ...], sides: tuple[tuple[Side, Side], ...]
) -> SpectralBasis:
    with math.precision(64):
        size = math.wrap(lengths, channel(vector=list(names)))
    return SpectralBasis(spatial(**dict(zip(names, sizes, strict=True))), size, sides)


def weight_of(weights: Tensor | float, axis: str) -> Tensor | float:
    """Returns the entry of `weights` for `axis`, or all of it if it does not name axes."""
    return weights.vector[axis] if isinstance(weights, Tensor) and "vector" in weights.shape else weights
