"""Optical flow: the displacement that turns one image into another, here of an incompressible medium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from phiml import math
from phiml.backend import Backend
from phiml.math import Shape, Tensor

from ..contract.operations import Operations
from ..frameworks import operations_of
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
        space, cells = self.transport.space, self.transport.space.basis.resolution
        batch = math.merge_shapes(gradient.shape.batch, difference.shape.batch, self.length.shape.batch)
        rms = math.sqrt(math.mean(math.sum(gradient**2, "derivative"), cells))
        g, d = (math.expand(math.safe_div(values, rms), batch) for values in (gradient, difference))
        backend = g.default_backend
        native_g, native_d = g.native([batch, space.axes, *cells]), d.native([batch, *cells])[:, None]
        root = _Root.of(self.transport, self.length, batch)

        def push(z: Any) -> Any:
            return backend.sum(native_g * root.values(z), 1, keepdims=True)

        def pull(v: Any) -> Any:
            return root.values(native_g * v)

        def square(values: Any) -> Any:
            return backend.sum(values * values, tuple(range(1, 2 + cells.rank)), keepdims=True)

        method = ConjugateGradients(push, pull, square, backend.where, self.regularization)
        state = start = method.start(-native_d)
        for _ in range(self.iterations):
            state = method.step(state, start.squared)
        coefficients = root.coefficients(state.d)
        return math.reshaped_tensor(coefficients, [batch, space.axes, *space.basis.modes], convert=False)


@dataclass(frozen=True, eq=False)
class _Root:
    """√C on native tensors with the axes (batch, derivative, cells…), which takes a sixth of the time of PhiML's."""

    framework: Operations
    backend: Backend
    sizes: Sequence[int]
    weights: Any
    k: Any
    inverse_square: Any

    @staticmethod
    def of(transport: VorticityTransport, length: Tensor, batch: Shape) -> _Root:
        space, modes = transport.space, transport.space.basis.modes
        weights = math.expand(1 / math.sqrt(1 + length**2 * space.k_squared), batch)
        backend = space.k_squared.default_backend
        numbers = space.nabla.dtype
        k, inverse_square = math.cast(space.wavevector, numbers), math.cast(transport.inverse_square, numbers)
        return _Root(
            operations_of(backend),
            backend,
            space.basis.resolution.sizes,
            math.cast(weights, numbers).native([batch, *modes])[:, None],
            k.native([space.axes, *modes])[None],
            inverse_square.native([*modes])[None, None],
        )

    def values(self, z: Any) -> Any:
        """Computes √C z per cell."""
        return self.framework.irfftn(self.coefficients(z), self.sizes)

    def coefficients(self, z: Any) -> Any:
        """Computes the Fourier coefficients of √C z."""
        c = self.framework.rfftn(z, len(self.sizes)) * self.weights
        along = self.backend.sum(self.k * c, 1, keepdims=True)
        return c - self.k * self.inverse_square * along
