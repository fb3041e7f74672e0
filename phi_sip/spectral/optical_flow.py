"""Optical flow: the displacement that turns one image into another, here of an incompressible medium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from phiml import math
from phiml.math import Tensor

from .vorticity import VorticityTransport


@dataclass(frozen=True, eq=False)
class OpticalFlow:
    """
    The divergence-free displacement ξ that explains the difference d of two images with the mean g = ∇m of gradients,

        min_ξ ‖g·ξ + d‖² + λ g₂² (‖ξ‖² + ℓ² ‖∇ξ‖²),   g₂² = mean |g|²

    by conjugate gradients, for each batch entry. g·ξ + d = 0 says that brightness is carried along. It leaves open the
    motion along contours of m and where m is constant: there ξ is smooth on the length ℓ. ξ does not change if m and d
    are scaled.

    Attributes:
        transport: Fourier space of the grid.
        regularization: λ > 0.
        length: ℓ ≥ 0, with batch dims at most.
        iterations: Of conjugate gradients.

    Source: Horn, Schunck, "Determining optical flow", 1981, with ∇·ξ = 0 imposed; conjugate gradients: Hestenes,
    Stiefel, 1952.
    """

    transport: VorticityTransport
    regularization: float
    length: Tensor
    iterations: int

    def displacement(self, gradient: Tensor, difference: Tensor) -> Tensor:
        """
        ξ = √C z with √C = (1 + ℓ² k²)^(−½) Π and Π the projection, where z solves (√C g gᵀ √C + λ) z = −√C g d.

        Args:
            gradient: g per cell, along the channel dim `derivative`.
            difference: d per cell.

        Returns:
            Fourier coefficients of ξ along the channel dim `derivative`.
        """
        axes = self.transport.space.basis.resolution.names
        rms = math.sqrt(math.mean(math.sum(gradient**2, "derivative"), axes))
        g, d = (math.safe_div(values, rms) for values in (gradient, difference))

        def normal(z: Tensor) -> Tensor:
            return self._root(g * math.sum(g * self._root(z), "derivative")) + self.regularization * z

        return self._root_coefficients(_conjugate_gradients(normal, self._root(-g * d), self.iterations))

    def _root(self, z: Tensor) -> Tensor:
        return self.transport.space.basis.inverse(self._root_coefficients(z))

    def _root_coefficients(self, z: Tensor) -> Tensor:
        space = self.transport.space
        weights = 1 / math.sqrt(1 + self.length**2 * space.k_squared)
        return self.transport.divergence_free(space.basis.transform(z) * weights)


def _conjugate_gradients(operator: Callable[[Tensor], Tensor], b: Tensor, iterations: int) -> Tensor:
    """z with A z = b from z = 0, for A symmetric and positive, each batch entry for itself."""
    z, residual, direction = b * 0, b, b
    squared = _dot(b, b)
    for _ in range(iterations):
        image = operator(direction)
        length = math.safe_div(squared, _dot(direction, image))
        z = z + length * direction
        residual = residual - length * image
        before, squared = squared, _dot(residual, residual)
        direction = residual + math.safe_div(squared, before) * direction
    return z


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return math.sum(a * b, a.shape.non_batch)
