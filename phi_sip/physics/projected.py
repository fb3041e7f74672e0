"""Physics whose states belong to a known family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import Correction, Draw, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import UnsupportedError
from ..inversion.default import correct
from ..inversion.operator import resolve_solver
from ..states import trees
from ..states.checks import check_like
from .chain import deviation


@dataclass(frozen=True, eq=False)
class Projected(InvertiblePhysics):
    """
    Another physics, whose states are known to belong to a family, e.g. of a few parameters:

        y = P(x),   x̃ = Π(P⁻¹(y*; x)),   Π(x) = the state of the family that is nearest to x

    A prior for what observations do not determine. What P⁻¹ finds is projected, and so are predictions of networks, in
    training and afterwards, so that a network has to find no more than the nearest state of the family. `initial_state`
    and `admissible` are projected too; P itself is left as it is. At a solution that belongs to the family Δx is 0.
    With `project_predictions=False` predictions obey `constrain` of P alone, and L = ½ ‖x − x̃‖² draws them to the
    family: for Π through which no gradient passes, e.g. one that sets negative values to 0.

    The uncertainty is the spread of projected states of the posterior, if P⁻¹ has one, else `None`. With `solver=...`
    of `sip_inverse` or `sip_update_weights` that solver inverts P without the family: `solver="gradient"` is ordinary
    training through P.

    Args:
        physics: P, with any inverse.
        project: Π, a function of a state that returns one like it and leaves it alone the second time, e.g. an
            `AffineSubspace`.
        solver: Numerical inverse of P, by name or as object. Default: P's own inverse, or the default solver.
        project_predictions: Whether predictions of networks are projected. Π must be differentiable then.

    Raises:
        UnsupportedError: if `physics` is not an `InvertiblePhysics`, or `project` cannot be called.
        GridMismatchError: by `inverse`, if Π(x) has other dims than x.

    Source: Holl, Koltun, Thuerey (arXiv 2109.15048), fluid experiment, in which x̃ is always a uniform motion and a
    swirl of some strength, and predictions are free.
    """

    name: ClassVar[str] = "projected"

    physics: InvertiblePhysics
    project: Callable[[Any], Any]
    solver: str | InverseSolver | None = None
    project_predictions: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.physics, InvertiblePhysics):
            raise UnsupportedError(
                f"Projected: physics is a {type(self.physics).__name__}. Give an object such as HeatEquation(1.0, 8.0)."
            )
        if not callable(self.project):
            raise UnsupportedError(
                f"Projected: project is a {type(self.project).__name__}. Give a function of a state that returns the "
                f"nearest state of the family, e.g. AffineSubspace([first, second])."
            )
        object.__setattr__(self, "solver", resolve_solver(self.solver))

    @property
    def is_linear(self) -> bool:
        """Whether the physics is."""
        return self.physics.is_linear

    @property
    def solver_of_parts(self) -> InverseSolver | None:
        return resolve_solver(self.solver)

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """`project`, and the options of the physics."""
        options = {f"physics.{name}": value for name, value in self.physics.inverse_options.items()}
        return {**options, "project": self.project}

    @property
    def rule_of_state(self) -> Any:
        """That of the physics."""
        return self.physics.rule_of_state

    @property
    def x_scale(self) -> Any:
        """That of the physics."""
        return self.physics.x_scale

    @property
    def measures_noise(self) -> bool:
        return self.physics.measures_noise

    @property
    def noise_std(self) -> Any:
        """σ of the physics; `None` if it says none."""
        return getattr(self.physics, "noise_std", None)

    def noise_energy(self, y: Any) -> Tensor | None:
        """Returns E‖n‖² of the physics."""
        return self.physics.noise_energy(y)

    @property
    def has_white_noise(self) -> bool:
        return self.physics.has_white_noise

    def add_noise(self, y: Any, normal: Any, known: Mapping[str, Any]) -> Any:
        """Returns y + n, as the physics has it."""
        return self.physics.add_noise(y, normal, known)

    def sufficient_precision(self, y_target: Any) -> int:
        return self.physics.sufficient_precision(y_target)

    def forward(self, x: Any) -> Any:
        """Computes y = P(x)."""
        return self.physics.forward(x)

    def constrain(self, x: Any, y_target: Any) -> Any:
        """Returns the nearest state of the family; if predictions are free, x with what the physics imposes on it."""
        return self._projected(x) if self.project_predictions else self.physics.constrain(x, y_target)

    def initial_state(self, y_target: Any) -> Any:
        """Returns the state of the family that is nearest to what the physics begins with."""
        return self._projected(self.physics.initial_state(y_target))

    def admissible(self, x: Any) -> Any:
        """Returns the state of the family that is nearest to what the physics allows."""
        return self._projected(self.physics.admissible(x))

    def inverse(self, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes x̃ − x with x̃ = Π(P⁻¹(y*; x))."""
        found = correct(self.physics, y_target, x, y, self.solver_of_parts)
        state = self._projected(trees.add(x, found.dx))
        dx = trees.subtract(state, x)
        if found.draw is None:
            return Correction(dx, stats=found.stats)
        draw = self._drawn(found.draw)
        return Correction(dx, lambda: deviation(draw, state), found.stats, draw)

    def _drawn(self, draw: Draw) -> Draw:
        def drawn(count: int, generator: np.random.Generator) -> Any:
            return self._projected(draw(count, generator))

        return drawn

    def _projected(self, x: Any) -> Any:
        projected = self.project(x)
        check_like("project(x)", projected, x)
        return trees.in_order_of(projected, x)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Projected]
