"""L-BFGS: quasi-Newton from gradients alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math
from phiml.math import Solve, Tensor, instance

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import Convergence, InverseSolver
from ..states import order, trees
from ..states.checks import check_count, check_parameter
from .least_squares import LeastSquares


@dataclass(frozen=True)
class LBFGS(InverseSolver):
    """
    A few iterations of L-BFGS on L(x) = ½ ‖P(x) − y*‖² from x, in units of L(x):

        x ← x − α B ∂L/∂x,   B ≈ H⁻¹ from the last changes of x and of the gradient

    for physics that can be differentiated once only, in reverse. The iterations start from x at every call; curvature
    is not kept. Each batch entry is minimized by itself, by SciPy's L-BFGS-B through `phiml.math.minimize`, in NumPy on
    the host: it can not be compiled. The misfit never grows.

    Args:
        iterations: At most so many.
        tolerance: Ends when L falls by less than this fraction of what it was at first, in one iteration.

    Raises:
        ParameterError: if an argument is out of range.
        UnsupportedError: when solving, if the framework cannot differentiate.

    Source: Liu, Nocedal, "On the Limited Memory BFGS Method for Large Scale Optimization", Math. Programming 45, 1989,
    Algorithm 2.1.
    """

    name: ClassVar[str] = "l-bfgs"
    on_host: ClassVar[bool] = True

    iterations: int = 10
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        check_count("LBFGS", "iterations", self.iterations)
        check_parameter("LBFGS", "tolerance", self.tolerance)

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        problem = LeastSquares.of(physics, y_target, x, y, scaled=True)
        backend, entries = problem.backend, problem.states.entries
        columns = instance("_unknowns")

        def rows(native: Any) -> Tensor:
            return math.reshaped_tensor(native, [entries, columns], convert=False)

        def native(tensor: Tensor) -> Any:
            return tensor.native([entries, columns])

        target = problem.observations.pack(y_target)
        first = 0.5 * problem.square(target - problem.observations.pack(y))
        unit = backend.where(first > 0, first, first * 0 + 1)

        def objective(u: Tensor) -> Tensor:
            return problem.per_entry(0.5 * problem.square(target - problem.forward(native(u))) / unit)

        start = rows(problem.states.pack(x))
        solve = Solve(
            "L-BFGS-B",
            abs_tol=self.tolerance,
            rel_tol=0.0,
            x0=start,
            max_iterations=self.iterations,
            suppress=[math.NotConverged, math.Diverged],
        )
        with math.SolveTape() as tape:
            found = math.minimize(objective, solve)
        info = tape[solve]
        before, after = objective(start), objective(found)
        better = after < before
        found = order.where(better, found, start)
        convergence = Convergence(
            math.to_int32(info.iterations),
            order.where(better, after, before) * problem.per_entry(unit),
            math.cast(info.converged, bool),
            math.to_int32(2 * info.function_evaluations + 2),
        )
        return Correction(
            trees.subtract(problem.states.unpack(native(found)), trees.to_backend(x, backend)),
            stats=convergence.stats(),
        )


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [LBFGS]
