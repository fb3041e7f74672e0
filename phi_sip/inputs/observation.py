"""The observation itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..contract.inputs import NetworkInput, Observed


@dataclass(frozen=True)
class Observation(NetworkInput):
    """Shows the observation y*, which must have the cells of the state."""

    name: ClassVar[str] = "y"

    def of(self, observed: Observed) -> Any:
        return observed.y_target
