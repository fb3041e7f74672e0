"""The wave equation, which time reversal inverts exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phi import field
from phi.field import Field
from phiml import math
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..states import trees
from ..states.checks import check_parameter
from .evolution import Reversible

State = tuple[Field, Field]


@dataclass(frozen=True)
class Wave(Reversible):
    """
    Waves u_tt = c² ∇²u from x = (u, u_t) at time 0 to y = (u, u_t) at time n dt, by the leapfrog (velocity Verlet):

        v ← v + ½ dt c² ∇²u,   u ← u + dt v,   v ← v + ½ dt c² ∇²u
        x̃ = x + R(y*) − R(y),   R: the same steps with −dt

    with PhiFlow's Laplacian. Second order in time and space, symplectic, and symmetric in time: R undoes P to rounding
    and x̃ is exact. The energy ½ ∫ u_t² + c² |∇u|² oscillates by O(dt²) and does not drift. P moves every mode without
    damping it, so noise in y* passes to x̃ as it is.

    Works with every boundary for which PhiFlow has a Laplacian, in any number of dims, with any batch dims.

    Args:
        speed: c ≥ 0 in length / time; a number, or a tensor with batch dims.
        time_step: dt > 0; a number, or a tensor with batch dims.
        steps: n ≥ 1.

    Raises:
        ParameterError: if a parameter is out of range; by `forward` and `backward`, if the time step violates the
            Courant–Friedrichs–Lewy condition c dt √(Σ_a 1/dx_a²) ≤ 1.
        UnsupportedError: by `forward` and `backward`, if the state is not a pair of centered grids.

    Source: Courant, Friedrichs, Lewy, "Über die partiellen Differenzengleichungen der mathematischen Physik", 1928;
    Hairer, Lubich, Wanner, "Geometric Numerical Integration", 2006, section I.1.4 (Störmer–Verlet).
    """

    name: ClassVar[str] = "wave"

    speed: float | Tensor
    time_step: float | Tensor
    steps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_parameter("Wave", "speed", self.speed)

    @property
    def is_linear(self) -> bool:
        """True, as the leapfrog with PhiFlow's Laplacian is."""
        return True

    @property
    def inverse_is_exact(self) -> bool:
        """True, as time reversal is."""
        return True

    def forward(self, x: State) -> State:
        """
        Computes y = (u, u_t) at the end.

        Args:
            x: (u, u_t) at the start, a pair of centered grids.
        """
        self._check(x)
        return trees.in_order_of(super().forward(trees.in_canonical_order(x)), x)  # type: ignore[no-any-return]

    def backward(self, y: State) -> State:
        """Computes x = (u, u_t) at the start from that at the end."""
        self._check(y)
        return trees.in_order_of(super().backward(trees.in_canonical_order(y)), y)  # type: ignore[no-any-return]

    def advance(self, state: State, dt: float | Tensor) -> State:
        """Computes one leapfrog step: half a kick, drift, half a kick."""
        u, v = state
        v = self._kick(u, v, 0.5 * dt)
        u = u.with_values(u.values + dt * v.values)
        return u, self._kick(u, v, 0.5 * dt)

    def inverse(self, y_target: State, x: State, y: State) -> Correction:
        """Computes R(y_target) − R(y) by time reversal, see the class."""
        return Correction(trees.subtract(self.backward(y_target), self.backward(y)))

    def _kick(self, u: Field, v: Field, dt: float | Tensor) -> Field:
        return v.with_values(v.values + dt * self.speed**2 * field.laplace(u).values)

    def _check(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 2 or not all(_is_centered(u) for u in state):
            raise UnsupportedError(
                f"Wave works on pairs (u, u_t) of centered grids, but got {trees.describe(state)}. Give both: where "
                f"u_t is 0, (u, u * 0)."
            )
        courant = self.speed * self.time_step * math.sqrt(math.sum(1 / state[0].dx ** 2, "vector"))
        if courant.available and bool((courant > 1).any):
            raise ParameterError(
                f"Wave: c dt √(Σ 1/dx²) = {float(math.max(courant, courant.shape)):.3g} > 1: waves would cross more "
                f"than a cell in a step and grow without bound. Use a smaller time_step and more steps."
            )


def _is_centered(u: Any) -> bool:
    return isinstance(u, Field) and u.is_grid and u.is_centered


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Wave]
