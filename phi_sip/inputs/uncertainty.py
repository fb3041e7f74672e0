"""How far the inverse can be wrong, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.inputs import NetworkInput, Observed
from ..errors import UnsupportedError


@dataclass(frozen=True)
class Uncertainty(NetworkInput):
    """Shows the standard deviation of the inverse's answer per cell, in the units of the state."""

    name: ClassVar[str] = "uncertainty"

    def of(self, observed: Observed) -> Any:
        uncertainty = observed.inverted().uncertainty
        if uncertainty is None:
            raise UnsupportedError(
                f"The inverse of {type(observed.physics).__name__} does not know its uncertainty, so a network cannot "
                f"be shown it. Leave out 'uncertainty', or choose a rule that knows it, e.g. EmpiricalBayes()."
            )
        return uncertainty
