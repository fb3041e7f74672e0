"""The best linear estimate of the state."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
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
        physics = observed.physics
        if "regularization" not in {field.name for field in fields(physics)} or not physics.is_linear:
            raise UnsupportedError(
                f"{type(physics).__name__} takes no regularization, so there is no linear estimate to show. Leave out "
                f"'linear'."
            )
        linear: Any = replace(physics, regularization=EmpiricalBayes())
        return InvertedObservation(linear, observed.y_target).inverted().x_target
