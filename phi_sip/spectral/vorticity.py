"""Incompressible flow in two dimensions, and what it carries, in Fourier space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from phiml import math
from phiml.math import Shape, Tensor, channel, rename_dims, stack

from ..frameworks import operations_of
from .derivatives import PeriodicDerivatives, runge_kutta_4
from .substeps import ONE, Substeps

Q = "quantity"


@dataclass(frozen=True, eq=False)
class VorticityTransport:
    """
    Two-dimensional flow as the transport of vorticity ω and of scalars q by the velocity that ω induces:

        ∂ω/∂t + u·∇ω = ν ∇²ω + f,   ∂q/∂t + u·∇q = ν ∇²q + f
        u = ū + (∂_y ψ, −∂_x ψ),   −∇²ψ = ω,   ω = ∂_x u_y − ∂_y u_x

    without friction or forces, ν = f = 0, unless they are given.

    A state is (ū, c): the mean velocity, which stays, and the Fourier coefficients c of ω, q_1, q_2, … along the
    channel dim `quantity`. Pseudo-spectral with the two-thirds rule, which conserves energy and ∫ω² without friction
    but for the error of the time step, O(dt⁵) a step. Nothing carries modes of q beyond ⅔ of the highest.

    Attributes:
        space: Derivatives on a grid with two axes.

    Source: Canuto, Hussaini, Quarteroni, Zang, "Spectral Methods: Evolution to Complex Geometries", 2007, chapter 3.
    """

    space: PeriodicDerivatives

    def encode(self, velocity: Tensor, *scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Computes (ū, c) of values per cell; what is not divergence-free in `velocity` is dropped."""
        mean, vorticity = self.curl(self.space.per_axis(self.space.basis.transform(velocity)))
        others = [self.space.basis.transform(values) for values in scalars]
        return mean, stack([vorticity, *others], channel(Q), expand_values=True)

    def velocity(self, mean: Tensor, vorticity: Tensor) -> Tensor:
        """Computes u per cell along the dim `vector` from ū and the coefficients of ω."""
        values = mean + self.space.basis.inverse(self._induced * vorticity)
        return rename_dims(values, "derivative", channel(vector=list(self.space.axes.item_names[0])))

    def scalar(self, c: Tensor, index: int) -> Tensor:
        """Computes q_index per cell; 0 is ω."""
        return self.space.basis.inverse(c[{Q: index}])

    def gradient(self, coefficients: Tensor) -> Tensor:
        """Computes ∇q per cell along the dim `derivative`, of the resolved modes."""
        return self.space.basis.inverse(self._resolved_nabla * coefficients)

    def project(self, velocity: Tensor) -> Tensor:
        """Computes the divergence-free part of `velocity`, with its mean."""
        mean, c = self.encode(velocity)
        return self.velocity(mean, c[{Q: 0}])

    def curl(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Computes mean and vorticity coefficients of a vector field with coefficients along the dim `derivative`."""
        mean = math.real(coefficients[dict.fromkeys(self.space.basis.resolution.names, 0)])
        mean = mean / math.sqrt(float(self.space.basis.resolution.volume))
        return mean, math.sum(self._curl * coefficients, "derivative")

    def run(
        self,
        mean: Tensor,
        c: Tensor,
        dt: float | Tensor,
        steps: int,
        viscosity: float | Tensor = 0.0,
        force: Tensor | None = None,
        substeps: Substeps = ONE,
        differentiable: bool = True,
    ) -> Tensor:
        """
        Computes c after n steps of dt, on native tensors, which takes a fifth of the time.

        Args:
            mean: ū along the dim `derivative`; batch dims allowed.
            c: Coefficients along the dim `quantity`.
            dt: Time step; negative where time runs backwards.
            steps: n.
            viscosity: ν, a number or a tensor with batch dims. Friction is exact, so it limits no time step.
            force: Coefficients of f, the same for all quantities; default 0.
            substeps: In how many parts each step is taken, see `substeps`; default one.
            differentiable: Whether derivatives are taken through it; if not, JAX compiles it sooner.
        """
        dt = dt / substeps.count
        parameters = (mean, c, math.wrap(dt), math.wrap(viscosity), math.wrap(0.0) if force is None else force)
        batch = math.merge_shapes(*(parameter.shape.batch for parameter in parameters))
        groups = [batch, c.shape[Q], *self.space.basis.modes]
        backend, ones = c.default_backend, [1] * self.space.basis.modes.rank
        carried = backend.reshape(mean.native([batch, self.space.axes]), (-1, 1, self.space.axes.size, *ones))
        complex_dt = math.convert(math.cast(math.wrap(dt), c.dtype), backend)
        step = backend.reshape(math.expand(complex_dt, batch).native([batch]), (-1, 1, *ones))
        rate = self._rate(carried, c.shape.get_size(Q), None if force is None else self._per_mode(force, batch))
        decay: Any = 1.0
        if isinstance(viscosity, Tensor) or viscosity != 0:
            damping = math.exp(-0.5 * viscosity * dt * self.space.k_squared)
            decay = self._per_mode(math.cast(math.convert(damping, backend), c.dtype), batch)
        end = substeps.repeated(
            operations_of(backend),
            lambda native: runge_kutta_4(rate, native, step, decay),
            c.native(groups),
            steps,
            differentiable,
        )
        return math.reshaped_tensor(end, groups, convert=False)

    def substeps(self, owner: str, mean: Tensor, c: Tensor, dt: float | Tensor) -> Substeps:
        """
        Returns in how many parts a time step is to be taken.

        Args:
            owner: Who asks, for the message.
            mean, c: State at the start, see `run`.
            dt: Time step > 0.

        Raises:
            ParameterError: if the flow is too fast for any number of them.
        """
        return Substeps.of(owner, self.space.courant(self.velocity(mean, c[{Q: 0}]), dt))

    def _per_mode(self, values: Tensor, batch: Shape) -> Any:
        """Returns values of the modes on the native axes (batch, quantity, k…)."""
        modes = self.space.basis.modes
        return math.expand(values, batch & modes).native([batch, *modes])[:, None]

    def _rate(self, mean: Any, quantities: int, force: Any) -> Callable[[Any], Any]:
        """Returns c ↦ F(f − u·∇q) of all quantities, on native axes (batch, quantity, [derivative], k…)."""
        names, sizes = self.space.basis.modes.names, self.space.basis.resolution.sizes
        backend = self.space.resolved.default_backend
        framework = operations_of(backend)
        induced, nabla = (
            a.native([self.space.axes, *names])[None]
            for a in (self._induced * self.space.resolved, self._resolved_nabla)
        )
        resolved = math.cast(-self.space.resolved, self.space.nabla.dtype).native([*names])
        transport = backend.concat([induced, *[nabla] * quantities], 0)  # gives u and every ∇q in one transform

        def rate(c: Any) -> Any:
            sources = backend.concat([c[:, :1], c], 1)[:, :, None]
            values = framework.irfftn(transport * sources, sizes)
            product = backend.sum((mean + values[:, :1]) * values[:, 1:], 2)
            carried = resolved * framework.rfftn(product, len(sizes))
            return carried if force is None else carried + force

        return rate

    @cached_property
    def _curl(self) -> Tensor:
        """(−∂_y, ∂_x): from u to ω."""
        x, y = (self.space.nabla.derivative[i] for i in range(2))
        return stack([-y, x], self.space.axes, expand_values=True)

    @cached_property
    def _induced(self) -> Tensor:
        """(∂_y, −∂_x) (−∇²)⁻¹: from ω to u − ū."""
        return -self._curl * self.inverse_square

    @cached_property
    def inverse_square(self) -> Tensor:
        """1 / |k|², 0 for the constant."""
        return math.safe_div(1.0, math.sum(self.space.wavevector**2, "derivative"))

    @cached_property
    def _resolved_nabla(self) -> Tensor:
        return self.space.nabla * self.space.resolved
