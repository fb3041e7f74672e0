"""The gradient through the physics: ordinary training, the baseline to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml.backend import choose_backend

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver, Solve
from ..states import trees
from ..states.scales import StateScales
from .derivatives import differentiated, differentiating_backend


@dataclass(frozen=True)
class GradientSolver(InverseSolver):
    """
    One step of gradient descent on L(x) = ½ ‖P(x) − y*‖²:

        x̃ = x − ∂L/∂x = x + Jᵀ (y* − y),   J = ∂P/∂x

    so that the proxy loss ½ ‖x − x̃‖² has the gradient of L, and training with it is differentiable-physics training.
    For states whose parts differ in unit or size it is the gradient in their norm, see `InvertiblePhysics.x_scale`. The
    proxy loss has the same norm: the gradient of the weights is that of L in any case.

    This step is not scale-invariant and moves badly conditioned directions least. Needs a framework with automatic
    differentiation, in which `forward` must be written.
    """

    name: ClassVar[str] = "gradient"

    def begin(self, physics: InvertiblePhysics, x: Any) -> tuple[Any, Solve]:
        """Simulates x together with its derivative, see `InverseSolver.begin`."""
        backend = differentiating_backend(x)
        if choose_backend(*trees.natives(x)) is not backend:
            return super().begin(physics, x)
        y, pull = differentiated(physics, x, backend)
        return y, lambda y_target: _step(physics, pull(trees.subtract(y_target, y)))

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """
        Computes the step, see `InverseSolver.solve`.

        Raises:
            UnsupportedError: if no framework in use can differentiate, as for NumPy data.
        """
        _, pull = differentiated(physics, x, differentiating_backend(x))
        return _step(physics, pull(trees.subtract(y_target, y)))


def _step(physics: InvertiblePhysics, gradient: Any) -> Correction:
    """Returns the correction along Jᵀ (y* − y)."""
    return Correction(StateScales(physics.x_scale).steepest(gradient))


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [GradientSolver]
