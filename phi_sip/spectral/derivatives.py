"""Derivatives of periodic fields in Fourier space, and time steps of equations written in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor, channel, rename_dims, spatial

from ..errors import BoundaryError, ParameterError
from ..states import order, trees
from .basis import SpectralBasis
from .sides import Periodic

STABLE_COURANT = 2.8  # Runge–Kutta 4 is stable on the imaginary axis up to 2√2


@dataclass(frozen=True, eq=False)
class PeriodicDerivatives:
    """
    ∂_a u = F⁻¹(i k_a F u) for one grid, exact for what the grid resolves.

    Products of two fields are free of aliasing if both are cut to the modes with |k_a| < ⅔ of the highest, `resolved`,
    and so is their product (the two-thirds rule). Constants have the precision and the framework of the field.

    Attributes:
        field: Gives grid, precision and framework.

    Source: Canuto, Hussaini, Quarteroni, Zang, "Spectral Methods: Fundamentals in Single Domains", 2006, section 3.4.
    """

    field: Field

    def __post_init__(self) -> None:
        """
        Checks the boundary.

        Raises:
            BoundaryError: if an axis is not periodic.
        """
        if any(pair != (Periodic(), Periodic()) for pair in self.basis.sides):
            raise BoundaryError(
                f"The field has boundary {self.field.boundary}, but the equation is solved in Fourier space. Create "
                f"the grid with boundary=extrapolation.PERIODIC."
            )

    @cached_property
    def basis(self) -> SpectralBasis:
        """The Fourier basis of the grid."""
        return SpectralBasis.of(self.field)

    @property
    def axes(self) -> Shape:
        """The channel dim `derivative`, with one component per axis."""
        return channel(derivative=list(self.basis.resolution.names))

    def per_axis(self, vector: Tensor) -> Tensor:
        """Returns a vector field with its components, which name the axes, along `derivative` instead of `vector`."""
        return rename_dims(order.matched(vector, channel(vector=self.axes.item_names[0])), "vector", self.axes)

    @cached_property
    def wavevector(self) -> Tensor:
        """k along the channel dim `derivative`, 0 at the highest mode of an even number of cells, which has no sign."""
        return self._constant(self._wavevector)

    @cached_property
    def nabla(self) -> Tensor:
        """i k along the channel dim `derivative`."""
        return self.wavevector * 1j

    @cached_property
    def k_squared(self) -> Tensor:
        """|k|²."""
        return self._constant(self.basis.k_squared())

    @cached_property
    def resolved(self) -> Tensor:
        """1 where |k_a| < ⅔ of the highest for all axes, 0 elsewhere."""
        cuts = {axis: (2 / 3) * highest for axis, highest in self.highest_wavenumbers.items()}
        inside = [math.to_float(k < cuts[axis]) for axis, k in self.basis.axis_wavenumbers.items()]
        return self._constant(prod(inside[1:], start=inside[0]))

    @cached_property
    def highest_wavenumbers(self) -> dict[str, float]:
        """π / dx per axis."""
        return {axis: np.pi / float(self.field.dx.vector[axis]) for axis in self.field.resolution.names}

    def courant(self, velocity: Tensor, dt: float | Tensor) -> Tensor:
        """
        Computes dt max Σ_a |u_a| k_a with k_a = ⅔ π / dx_a. `runge_kutta_4` is stable up to `STABLE_COURANT`.

        Args:
            velocity: u per cell, along `vector` if there are several axes.
            dt: Time step.

        Returns:
            One number per batch entry.
        """
        speeds = [abs(velocity.vector[a] if "vector" in velocity.shape else velocity) for a in self.highest_wavenumbers]
        parts = [speed * k for speed, k in zip(speeds, self.highest_wavenumbers.values(), strict=True)]
        return (2 / 3) * dt * math.max(sum(parts[1:], parts[0]), velocity.shape.spatial)

    def check_courant(self, owner: str, velocity: Tensor, dt: float | Tensor) -> None:
        """
        Checks the stability of `runge_kutta_4` for advection with the resolved modes.

        Raises:
            ParameterError: if dt max Σ_a |u_a| k_a > 2.8 with k_a = ⅔ π / dx_a.
        """
        courant = self.courant(velocity, dt)
        if courant.available and bool((courant > STABLE_COURANT).any):
            worst = float(math.max(courant, courant.shape))
            raise ParameterError(
                f"{owner}: dt max Σ |u| k = {worst:.3g} > {STABLE_COURANT}: the fastest sample moves too far in one "
                f"step and the simulation would be unstable. Divide time_step, and multiply steps, by "
                f"{int(np.ceil(worst / STABLE_COURANT))}, or check why x is that large."
            )

    @property
    def _wavevector(self) -> Tensor:
        parts = []
        for axis, k in self.basis.axis_wavenumbers.items():
            n, kept = self.field.resolution.get_size(axis), k.shape.get_size(axis)
            signs = np.sign(np.fft.fftfreq(n))[:kept] * (2 * np.arange(kept) != n)
            parts.append(k * math.wrap(signs, spatial(axis)))
        return math.stack(parts, self.axes, expand_values=True)

    def _constant(self, values: Tensor) -> Tensor:
        precision = trees.precision_of(self.field)
        return math.convert(math.cast(values, math.DType(float, precision)), self.field.values.default_backend)


def runge_kutta_4(rate: Callable[[Any], Any], c: Any, dt: Any, decay: Any) -> Any:
    """
    Computes one step of dc/dt = −λ c + N(c), of fourth order in N and exact in λ (integrating factor).

    Args:
        rate: N.
        c: Coefficients, a `Tensor` or a native tensor.
        dt: Time step.
        decay: exp(−½ λ dt); 1 where λ = 0.

    Source: Lawson, "Generalized Runge–Kutta processes for stable systems with large Lipschitz constants", 1967;
    Kassam, Trefethen, "Fourth-order time-stepping for stiff PDEs", 2005, section 2.
    """
    half = decay * c
    k1 = rate(c) * decay
    k2 = rate(half + (0.5 * dt) * k1)
    k3 = rate(half + (0.5 * dt) * k2)
    whole = decay * half
    k4 = rate(whole + (dt * decay) * k3)
    return whole + (dt / 6) * (decay * (k1 + 2 * (k2 + k3)) + k4)
