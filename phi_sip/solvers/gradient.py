"""The gradient through the physics: ordinary training, the baseline to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml.backend import Backend, choose_backend, default_backend

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..frameworks import operations_of
from ..states import trees


@dataclass(frozen=True)
class GradientSolver(InverseSolver):
    """
    One step of gradient descent on L(x) = ½ ‖P(x) − y*‖²:

        x̃ = x − ∂L/∂x = x + Jᵀ (y* − y),   J = ∂P/∂x

    so that the proxy loss ½ ‖x − x̃‖² has the gradient of L, and training with it is differentiable-physics training.
    This step is not scale-invariant and moves badly conditioned directions least. Needs a framework with automatic
    differentiation, in which `forward` must be written.
    """

    name: ClassVar[str] = "gradient"

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """See `InverseSolver.solve`. Raises `UnsupportedError` for NumPy data."""
        _, residual, adjoint = linearize(physics, y_target, x, y)
        return Correction(adjoint(residual))


def linearize(physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
    """
    What gradient methods need at x, on a framework that can differentiate.

    Returns:
        x and the residual y_target − y on that framework, and v ↦ Jᵀ v.
    """
    backend = choose_backend(*trees.natives(x))
    if not backend.supports(Backend.jacobian) and default_backend().supports(Backend.jacobian):
        backend = default_backend()
    x = trees.to_backend(x, backend)

    def simulate(*values: Any) -> list[Any]:
        return trees.natives(trees.to_backend(physics.forward(trees.with_natives(x, values)), backend), like=y)

    _, pullback = operations_of(backend).vjp(simulate, trees.natives(x))
    residual = trees.to_backend(trees.subtract(y_target, y), backend)
    return x, residual, lambda v: trees.with_natives(x, pullback(trees.natives(v, like=y)))


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [GradientSolver]
