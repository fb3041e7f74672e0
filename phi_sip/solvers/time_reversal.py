"""Time reversal: the inverse of a simulation that can run backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml import math

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import Convergence, InverseSolver
from ..errors import UnsupportedError
from ..physics.evolution import Reversible
from ..states import trees


@dataclass(frozen=True)
class TimeReversal(InverseSolver):
    """
    Both observations run backwards in time, R = `physics.backward`:

        x̃ = x + R(y*) − R(y),   y = P(x)

    What the reverse simulation does not undo is the same in both and cancels: a solution is a fixed point. Where
    R undoes P, x̃ is exact in one step; where it does so approximately, x̃ is a descent direction as long as the error of
    R is smaller than what it corrects. Not for dissipative steps: diffusion run backwards amplifies noise unboundedly.

    `stats` per batch entry: `iterations` 1; `objective` ½ ‖P(x̃) − y*‖²; `converged`, whether that is less than it was
    or zero; `simulations` 3, one of them to report the objective.

    Raises:
        UnsupportedError: when solving, if the physics cannot run backwards, i.e. is not `Reversible`.

    Source: Holl, Koltun, Thuerey (arXiv 2109.15048), section 2, "Relation to other methods" and fluid experiment.
    """

    name: ClassVar[str] = "time-reversal"

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        dx = reverse(physics, y_target, y)
        before = trees.l2_loss(trees.subtract(y, y_target))
        objective = trees.l2_loss(trees.subtract(physics.forward(trees.add(x, dx)), y_target))
        converged = (objective < before) | (objective == 0)
        once = math.to_int32(converged) * 0 + 1
        return Correction(dx, stats=Convergence(once, objective, converged, 3 * once).stats())


def reverse(physics: InvertiblePhysics, y_target: Any, y: Any) -> Any:
    """
    Computes R(y*) − R(y).

    Raises:
        UnsupportedError: if the physics cannot run backwards.
    """
    if not isinstance(physics, Reversible):
        raise UnsupportedError(
            f"TimeReversal runs the simulation backwards, but {type(physics).__name__} does not say how. Derive it "
            f"from phi_sip.Reversible if its steps can be taken with −dt, or use another solver."
        )
    return trees.subtract(physics.backward(y_target), physics.backward(y))


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [TimeReversal]
