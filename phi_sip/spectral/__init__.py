"""Orthonormal bases of uniform grids in which diffusion is diagonal, one kind of modes per boundary condition."""

from .basis import SpectralBasis

__all__ = ["SpectralBasis"]
