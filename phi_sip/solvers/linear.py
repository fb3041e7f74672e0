"""What inverts linear physics without a closed form, unless somebody says how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import UnsupportedError
from ..states import trees
from .conjugate_gradient import ConjugateGradient
from .gaussian_process import GaussianProcess

FEW = 0.5  # values that are observed, in units of those of the state


@dataclass(frozen=True)
class Linear(InverseSolver):
    """
    The inverse of linear physics, by what there is to go by:

        at most half as many values in y* as in x:   `GaussianProcess`,   a prior says what no observation does
        else, and where that does not apply:         `ConjugateGradient`, which leaves it as it is in x

    It is the default for linear physics that has no closed form.
    """

    name: ClassVar[str] = "linear"

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the correction of x, see `InverseSolver.solve`."""
        is_known = all(leaf.available for tree in (y_target, x) for leaf in trees.leaves(tree))
        if is_known and _values(y) <= FEW * _values(x):
            try:
                return GaussianProcess().solve(physics, y_target, x, y)
            except UnsupportedError:  # several fields, too many values, parameters of each sample
                pass
        return ConjugateGradient().solve(physics, y_target, x, y)


def _values(state: Any) -> int:
    return sum(leaf.shape.non_batch.volume for leaf in trees.leaves(state))


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [Linear]
