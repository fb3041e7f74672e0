"""What inverts linear physics without a closed form, unless somebody says how."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..contract.solver import InverseSolver
from ..errors import UnsupportedError
from ..states import trees
from .conjugate_gradient import ConjugateGradient
from .maximum_a_posteriori import MaximumAPosteriori
from .observed_response import is_one_field

FEW = 0.5  # values that are observed, in units of those of the state


@dataclass(frozen=True)
class Linear(InverseSolver):
    """
    The inverse of linear physics, by what there is to go by:

        at most half as many values in y* as in x:   `MaximumAPosteriori`,   a prior says what no observation does
        else, and where that does not apply:         `ConjugateGradient`,    which leaves it as it is in x

    It is the default for linear physics that has no closed form.
    """

    name: ClassVar[str] = "linear"

    def solve(self, physics: InvertiblePhysics, y_target: Any, x: Any, y: Any) -> Correction:
        """
        Computes the correction of x, see `InverseSolver.solve`.

        Raises:
            UnsupportedError: within a graph, where few values are observed.
        """
        if _values(y) <= FEW * _values(x) and is_one_field(x):
            if not all(leaf.available for tree in (y_target, x) for leaf in trees.leaves(tree)):
                raise UnsupportedError(
                    f"{type(physics).__name__} observes {_values(y)} values of a state of {_values(x)}, for which its "
                    f"inverse has a prior: MaximumAPosteriori, which runs on the processor, outside of graphs. Leave "
                    f"out compile=True, or choose one without a prior: solver='conjugate-gradient'."
                )
            with suppress(UnsupportedError):  # functions that differ from sample to sample
                return MaximumAPosteriori().solve(physics, y_target, x, y)
        return ConjugateGradient().solve(physics, y_target, x, y)


def _values(state: Any) -> int:
    return sum(leaf.shape.non_batch.volume for leaf in trees.leaves(state))


@hookimpl
def sip_solvers() -> Sequence[type[InverseSolver]]:
    return [Linear]
