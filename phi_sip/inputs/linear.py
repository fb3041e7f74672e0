"""The best linear estimate of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.inputs import NetworkInput, Observed
from ..errors import UnsupportedError
from ..inversion.observed import InvertedObservation
from ..regularization import EmpiricalBayes


@dataclass(frozen=True)
class LinearEstimate(NetworkInput):
    """
    Shows the estimate by `EmpiricalBayes()`, a Wiener filter that is fitted to each observation. It knows nothing of
    edges, and so shows the network which of them the rule of the physics has made.
    """

    name: ClassVar[str] = "linear"

    def of(self, observed: Observed) -> Any:
        linear = observed.by_rule(EmpiricalBayes())
        if linear is None:
            raise UnsupportedError(
                f"{type(observed.physics).__name__} takes no regularization rule, so there is no linear estimate to "
                f"show. Leave out 'linear'."
            )
        return InvertedObservation(linear, observed.y_target).inverted().x_target
