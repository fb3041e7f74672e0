"""Optical flow: the displacement that turns one image into another, here of an incompressible medium."""

from __future__ import annotations

from dataclasses import dataclass

from phiml import math
from phiml.math import Tensor

from ..states import order
from .conjugate_gradients import ConjugateGradients
from .vorticity import VorticityTransport


@dataclass(frozen=True, eq=False)
class OpticalFlow:
    """
    The divergence-free displacement ξ that explains the difference d of two images with the mean g = ∇m of gradients,

        min_ξ ‖g·ξ + d‖² + λ g₂² (‖ξ‖² + ℓ² ‖∇ξ‖²),   g₂² = mean |g|²

    by conjugate gradients, for each batch entry. g·ξ + d = 0 says that the flow carries brightness along. This leaves
    open the motion along contours of m, and where m is constant: there ξ is smooth on the length ℓ. ξ does not change
    if m and d are scaled.

    Attributes:
        transport: Fourier space of the grid.
        regularization: λ > 0.
        length: ℓ ≥ 0 in units of length, with batch dims at most.
        iterations: Number of steps of conjugate gradients.

    Source: Horn, Schunck, "Determining optical flow", 1981, with ∇·ξ = 0 imposed; conjugate gradients: Hestenes,
    Stiefel, 1952.
    """

    transport: VorticityTransport
    regularization: float
    length: Tensor
    iterations: int

    def displacement(self, gradient: Tensor, difference: Tensor) -> Tensor:
        """
        Computes ξ = √C z, √C = (1 + ℓ² k²)^(−½) Π with the projection Π, where z solves (√C g gᵀ √C + λ) z = −√C g d.

        Args:
            gradient: g per cell, along the channel dim `derivative`.
            difference: d per cell.

        Returns:
            Fourier coefficients of ξ along the channel dim `derivative`.
        """
        axes = self.transport.space.basis.resolution.names
        rms = math.sqrt(math.mean(math.sum(gradient**2, "derivative"), axes))
        g, d = (math.safe_div(values, rms) for values in (gradient, difference))

        def push(z: Tensor) -> Tensor:
            return math.sum(g * self._root(z), "derivative")

        def pull(v: Tensor) -> Tensor:
            return self._root(g * v)

        method = ConjugateGradients(push, pull, _square, order.where, self.regularization)
        state = start = method.start(-d)
        for _ in range(self.iterations):
            state = method.step(state, start.squared)
        return self._root_coefficients(state.d)

    def _root(self, z: Tensor) -> Tensor:
        """Computes √C z per cell."""
        return self.transport.space.basis.inverse(self._root_coefficients(z))

    def _root_coefficients(self, z: Tensor) -> Tensor:
        """Computes the Fourier coefficients of √C z."""
        space = self.transport.space
        weights = 1 / math.sqrt(1 + self.length**2 * space.k_squared)
        return self.transport.divergence_free(space.basis.transform(z) * weights)


def _square(values: Tensor) -> Tensor:
    """Computes Σ values² of each batch entry."""
    return math.sum(values * values, values.shape.non_batch)
