"""Noise that differs between the values of an observation, as of good and bad sensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from phiml import math
from phiml.math import Tensor

from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import GridMismatchError, ParameterError
from ..regularization import Regularization
from ..states import trees


@dataclass(frozen=True, eq=False)
class InUnitsOfNoise(InvertiblePhysics):
    """
    Another physics, with values in units of their noise, so that all have the same σ:

        y_i = P(x)_i / w_i,   w_i = σ_i / σ

    Args:
        physics: P.
        weights: w.
        noise_std: σ, the root mean square of σ_i.
    """

    name: ClassVar[str] = "in-units-of-noise"

    physics: InvertiblePhysics
    weights: Tensor
    noise_std: Tensor

    def forward(self, x: Any) -> Any:
        """Computes y."""
        return self.scaled(self.physics.forward(x))

    def scaled(self, y: Any) -> Any:
        """Returns an observation of P in these units."""
        with math.precision(trees.precision_of(y)):
            return trees.tree_map(lambda values: values / self.weights, y)

    @property
    def is_linear(self) -> bool:
        return self.physics.is_linear

    @property
    def rule_of_state(self) -> Regularization | None:
        rule: Regularization | None = self.physics.rule_of_state
        return rule

    def admissible(self, x: Any) -> Any:
        return self.physics.admissible(x)


def solved_in_units_of_noise(
    solver: InverseSolver, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any
) -> Correction | None:
    """
    Solves with values in units of their noise, if σ differs between the values of an observation; else returns `None`.

    Raises:
        GridMismatchError: if σ has dims that the observation has not.
        ParameterError: if some values have no noise and others have.
    """
    std = getattr(physics, "noise_std", None)
    if not isinstance(std, Tensor) or not std.shape.non_batch or not physics.has_white_noise:
        return None
    leaves = trees.leaves(y_target)
    if not all(set(std.shape.non_batch.names) <= set(leaf.shape.names) for leaf in leaves):
        raise GridMismatchError(
            f"noise_std has the dims {std.shape}, y_target is {trees.describe(y_target)}. Give one σ for all values, "
            f"or one along dims of the observation."
        )
    std = math.to_float(std)
    if not bool((std > 0).all):
        raise ParameterError(
            "noise_std is 0 for some values of an observation and differs between them. Give each a σ > 0, e.g. that "
            "of rounding."
        )
    mean = math.sqrt(math.mean(std**2, std.shape.non_batch))
    whitened = InUnitsOfNoise(physics, std / mean, mean)
    found = solver.solve(whitened, whitened.scaled(y_target), x, whitened.scaled(y))
    return replace(found, stats={**found.stats, "noise_std": std})
