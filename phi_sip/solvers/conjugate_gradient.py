"""Conjugate gradients on the normal equations: the inverse of any linear physics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math
from phiml.math import Tensor

from .. import trees
from ..checks import check_parameter
from ..errors import ParameterError, UnsupportedError
from ..hookspecs import hookimpl
from ..physics.base import Correction, InvertiblePhysics
from .base import InverseSolver
from .gradient import linearize


@dataclass(frozen=True)
class ConjugateGradient(InverseSolver):
    """
    Least squares for linear physics, J = ∂P/∂x, by conjugate gradients on JᵀJ d = Jᵀ Δy from d = 0 (CGLS):

        x̃ = x + d_i,   i the first iteration with ‖J d_i − Δy‖² ≤ τ² E‖n‖²

    Every iteration costs one simulation and one vector–Jacobian product. What the noise hides is left as it is in x:
    stopping early is the regularization (discrepancy principle), with E‖n‖² from `physics.noise_energy`. Where that
    is not known, the iteration ends at `tolerance`. The residual never grows. Batch entries do not mix.
    `stats`: `iterations`, `residual` ‖J d − Δy‖² and `converged` per batch entry.

    Args:
        iterations: At most this many.
        tau: τ > 0, margin on the noise.
        tolerance: Ends where ‖Jᵀ(J d − Δy)‖ has fallen to this fraction.

    Raises:
        ParameterError: if an argument is out of range.
        UnsupportedError: when solving, if the physics is not linear.

    Source: Hestenes, Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, section 10; Hanke,
    "Conjugate Gradient Type Methods for Ill-Posed Problems", 1995, chapter 3 (stopping).
    """

    name: ClassVar[str] = "conjugate-gradient"

    iterations: int = 100
    tau: float = 1.0
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        check_parameter("ConjugateGradient", "tau", self.tau, positive=True)
        check_parameter("ConjugateGradient", "tolerance", self.tolerance)
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise ParameterError(f"ConjugateGradient: iterations = {self.iterations}, but it must be an integer ≥ 1.")

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """See `InverseSolver.solve`."""
        if not physics.is_linear:
            raise UnsupportedError(
                f"ConjugateGradient inverts linear physics, but {type(physics).__name__} does not say that it is "
                f"linear. Let its property `is_linear` return True, or use another solver."
            )
        x, residual, adjoint = linearize(physics, y_target, x, y)
        nothing = physics.forward(trees.scale(x, 0.0))
        noise = physics.noise_energy(y)
        return self._iterate(
            lambda d: trees.subtract(physics.forward(d), nothing),
            adjoint,
            residual,
            math.wrap(0.0) if noise is None else self.tau**2 * noise,
        )

    def _iterate(
        self, forward: Callable[[Any], Any], adjoint: Callable[[Any], Any], residual: Any, noise: Tensor
    ) -> Correction:
        direction = gradient = adjoint(residual)
        d = trees.scale(gradient, 0.0)
        squared = first = _square(gradient)
        moving = (_square(residual) > noise) & (squared > 0)
        iterations = math.to_int32(moving) * 0
        for _ in range(self.iterations):
            if moving.available and not bool(moving.any):
                break
            image = forward(direction)
            length = math.where(moving, math.safe_div(squared, _square(image)), 0.0)
            d = trees.add(d, trees.scale(direction, length))
            residual = trees.subtract(residual, trees.scale(image, length))
            gradient = adjoint(residual)
            before, squared = squared, _square(gradient)
            direction = trees.add(gradient, trees.scale(direction, math.safe_div(squared, before)))
            iterations = iterations + math.to_int32(moving)
            moving = moving & (_square(residual) > noise) & (squared > self.tolerance**2 * first)
        return Correction(d, stats={"iterations": iterations, "residual": _square(residual), "converged": ~moving})


def _square(tree: Any) -> Tensor:
    """Σ u² over all but batch dims."""
    return 2 * trees.l2_loss(tree)


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [ConjugateGradient]
