"""What a network is shown, by a stranger: the mean of the observation, in every cell."""

from dataclasses import dataclass
from typing import ClassVar

from phiml import math

from phi_sip import NetworkInput, hookimpl


@dataclass(frozen=True)
class Mean(NetworkInput):
    """y* averaged over all cells."""

    name: ClassVar[str] = "mean"

    def of(self, observed):
        values = observed.y_target.values
        return math.expand(math.mean(values, values.shape.spatial), values.shape.spatial)


@hookimpl
def sip_inputs():
    return [Mean]
