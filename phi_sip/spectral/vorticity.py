"""Inviscid incompressible flow in two dimensions, and what it carries, in Fourier space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from phiml import math
from phiml.math import Tensor, channel, concat, expand, rename_dims, stack

from .derivatives import PeriodicDerivatives, runge_kutta_4

Q = "quantity"


@dataclass(frozen=True, eq=False)
class VorticityTransport:
    """
    Two-dimensional Euler flow as the transport of vorticity ω and of scalars q by the velocity that ω induces:

        ∂ω/∂t + u·∇ω = 0,   ∂q/∂t + u·∇q = 0,   u = ū + (∂_y ψ, −∂_x ψ),   −∇²ψ = ω,   ω = ∂_x u_y − ∂_y u_x

    A state is (ū, c): the mean velocity, which stays, and the Fourier coefficients c of ω, q_1, q_2, … along the
    channel dim `quantity`. Pseudo-spectral with the two-thirds rule, which conserves energy and ∫ω² but for the error
    of the time step, O(dt⁵) a step. Modes of q beyond ⅔ of the highest stay as they are.

    Attributes:
        space: Derivatives on a grid with two axes.

    Source: Canuto, Hussaini, Quarteroni, Zang, "Spectral Methods: Evolution to Complex Geometries", 2007, chapter 3.
    """

    space: PeriodicDerivatives

    def encode(self, velocity: Tensor, *scalars: Tensor) -> tuple[Tensor, Tensor]:
        """(ū, c) of values per cell; what is not divergence-free in `velocity` is dropped."""
        mean, vorticity = self.curl(rename_dims(self.space.basis.transform(velocity), "vector", self._axes))
        others = [self.space.basis.transform(values) for values in scalars]
        return mean, stack([vorticity, *others], channel(Q), expand_values=True)

    def velocity(self, mean: Tensor, vorticity: Tensor) -> Tensor:
        """u per cell along the dim `vector` from ū and the coefficients of ω."""
        values = mean + self.space.basis.inverse(self._induced * vorticity)
        return rename_dims(values, "derivative", channel(vector=list(self._axes.item_names[0])))

    def scalar(self, c: Tensor, index: int) -> Tensor:
        """q_index per cell; 0 is ω."""
        return self.space.basis.inverse(c[{Q: index}])

    def gradient(self, coefficients: Tensor) -> Tensor:
        """∇q per cell along the dim `derivative`, of the resolved modes."""
        return self.space.basis.inverse(self._resolved_nabla * coefficients)

    def project(self, velocity: Tensor) -> Tensor:
        """The divergence-free part of `velocity`, with its mean."""
        mean, c = self.encode(velocity)
        return self.velocity(mean, c[{Q: 0}])

    def divergence_free(self, coefficients: Tensor) -> Tensor:
        """The same for Fourier coefficients along the dim `derivative`: c − k (k·c) / |k|²."""
        k = self.space.wavevector
        return coefficients - k * math.sum(k * coefficients, "derivative") * self._inverse_square

    def curl(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and coefficients of the vorticity of a vector field with coefficients along the dim `derivative`."""
        mean = math.real(coefficients[dict.fromkeys(self.space.basis.resolution.names, 0)])
        mean = mean / math.sqrt(float(self.space.basis.resolution.volume))
        return mean, math.sum(self._curl * coefficients, "derivative")

    def run(self, mean: Tensor, c: Tensor, dt: float | Tensor, steps: int) -> Tensor:
        """c after n steps of dt, which may be negative."""
        transport = self._transport_of(c.shape.get_size(Q))
        for _ in range(steps):
            c = runge_kutta_4(lambda c: self._rate(mean, c, transport), c, dt, 1.0)
        return c

    def _rate(self, mean: Tensor, c: Tensor, transport: Tensor) -> Tensor:
        """−u·∇ of every quantity; `transport` gives the velocity and all gradients in one transform."""
        values = self.space.basis.inverse(transport * concat([c[{Q: slice(0, 1)}], c], Q))
        carrier = mean + values[{Q: 0}]
        product = math.sum(carrier * values[{Q: slice(1, None)}], "derivative")
        return -self.space.resolved * self.space.basis.transform(product)

    def _transport_of(self, quantities: int) -> Tensor:
        induced = expand(self._induced * self.space.resolved, channel(**{Q: 1}))
        return concat([induced, expand(self._resolved_nabla, channel(**{Q: quantities}))], Q)

    @cached_property
    def _axes(self) -> math.Shape:
        return self.space.nabla.shape["derivative"]

    @cached_property
    def _curl(self) -> Tensor:
        """(−∂_y, ∂_x): from u to ω."""
        x, y = (self.space.nabla.derivative[i] for i in range(2))
        return stack([-y, x], self._axes, expand_values=True)

    @cached_property
    def _induced(self) -> Tensor:
        """(∂_y, −∂_x) (−∇²)⁻¹: from ω to u − ū."""
        return -self._curl * self._inverse_square

    @cached_property
    def _inverse_square(self) -> Tensor:
        return math.safe_div(1.0, math.sum(self.space.wavevector**2, "derivative"))

    @cached_property
    def _resolved_nabla(self) -> Tensor:
        return self.space.nabla * self.space.resolved
