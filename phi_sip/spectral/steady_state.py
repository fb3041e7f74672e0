"""Fixed boundary values other than 0: the steady state that has them, so that what remains is 0 at those sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from phiml import math
from phiml.math import Tensor, spatial

from ..errors import ParameterError
from ..states import order
from .basis import SpectralBasis, weight_of
from .sides import Fixed, Insulated, Side


def steady_state(basis: SpectralBasis, diffusivity: Tensor | float = 1.0) -> Tensor:
    """
    Computes the steady state w for the boundary values c of the fixed sides:

        ∇·(ν ∇w) = 0,   w = c at fixed sides,   ∂w/∂n = 0 at insulated ones
        w = c̄ + Σ_sides (c_side − c̄) · w_side,   c̄ = (min c + max c) / 2

    where w_side is 1 at its side and 0 at the other fixed ones. With L the edge length along the axis a of the side, s
    the distance from the opposite side as a fraction of L, and φ_k the modes of the other axes b that have fixed sides,

        w_side = Σ_k ⟨1, φ_k⟩ φ_k · sinh(κ L s) / sinh(κ L),   κ² = Σ_b ν_b k_b² / ν_a

    with cosh in place of sinh if the opposite side is insulated; at κ = 0 these are s and 1. So w is linear if one axis
    has fixed sides, and constant if all values are equal. Where values jump at a corner, w is accurate to second order
    in the cell size away from it.

    Args:
        basis: Basis of the grid, with the values in `basis.sides`.
        diffusivity: ν: only ratios between axes matter, so only a tensor with the dim `vector` does.

    Returns:
        w per cell, in the current precision; dims of the axes that it depends on, and batch dims of `diffusivity`.

    Source: separation of variables, e.g. Carslaw, Jaeger, "Conduction of Heat in Solids", 1959, chapter V.
    """
    values = _boundary_values(basis)
    middle = (min(values.values(), default=0.0) + max(values.values(), default=0.0)) / 2
    with math.precision(64):
        state = math.wrap(middle)
        for (axis, upper), value in values.items():
            if value != middle:
                state = state + (value - middle) * _influence(basis, axis, upper, diffusivity)
    return math.to_float(state)


def holds_values(basis: SpectralBasis) -> bool:
    """Tells whether a side is fixed to a number other than 0."""
    return any(_boundary_values(basis).values())


def _boundary_values(basis: SpectralBasis) -> dict[tuple[str, int], float]:
    """Returns the values of the fixed sides by axis and 0 for the lower side, 1 for the upper one."""
    return {
        (axis, upper): side.value
        for axis, sides in zip(basis.resolution.names, basis.sides, strict=True)
        for upper, side in enumerate(sides)
        if isinstance(side, Fixed)
    }


def _influence(basis: SpectralBasis, axis: str, upper: int, diffusivity: Tensor | float) -> Tensor:
    """Computes w_side of the lower or upper side of `axis`."""
    index = basis.resolution.names.index(axis)
    opposite = basis.sides[index][1 - upper]
    others = [modes for modes in basis.factors if not modes.conserves_mean and axis not in modes.cells]
    amplitude, squares = math.wrap(1.0), math.wrap(0.0)
    for modes in others:
        amplitude = amplitude * modes.transform(math.wrap(np.ones(modes.cells.volume), spatial(modes.cells.names[0])))
        for name, k in modes.wavenumbers().items():
            squares = squares + _ratio(diffusivity, name, axis) * (k * basis.size.vector[axis]) ** 2
    n = basis.resolution.sizes[index]
    distance = (np.arange(n) + 0.5)[:: 1 if upper else -1] / n
    result = amplitude * _PROFILES[type(opposite)](squares, math.wrap(distance, spatial(axis)))
    for modes in others:
        result = modes.inverse(result)
    return result


def _ratio(diffusivity: Tensor | float, axis: str, to: str) -> Tensor:
    """Computes ν_axis / ν_to."""
    if not isinstance(diffusivity, Tensor) or "vector" not in diffusivity.shape:
        return math.wrap(1.0)
    if diffusivity.available and bool((diffusivity == 0).any):
        raise ParameterError(
            f"diffusivity = {diffusivity} is 0 along an axis, where the steady state for boundary values on several "
            f"axes is not unique. Give a small positive number instead, or boundary values of 0."
        )
    return weight_of(diffusivity, axis) / weight_of(diffusivity, to)


def _sinh_profile(squares: Tensor, s: Tensor) -> Tensor:
    """Computes sinh(z s) / sinh(z) for z² = `squares`, without overflow; its series below z = 1e-3."""
    z = math.sqrt(math.maximum(squares, 1e-20))
    ratio = math.exp(-z * (1 - s)) * (1 - math.exp(-2 * z * s)) / (1 - math.exp(-2 * z))
    return order.where(z < 1e-3, s * (1 + z**2 * (s**2 - 1) / 6), ratio)


def _cosh_profile(squares: Tensor, s: Tensor) -> Tensor:
    """Computes cosh(z s) / cosh(z) for z² = `squares`, without overflow."""
    z = math.sqrt(math.maximum(squares, 1e-20))
    return math.exp(-z * (1 - s)) * (1 + math.exp(-2 * z * s)) / (1 + math.exp(-2 * z))


_PROFILES: dict[type[Side], Callable[[Tensor, Tensor], Tensor]] = {Fixed: _sinh_profile, Insulated: _cosh_profile}
