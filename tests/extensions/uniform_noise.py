"""How noise is distributed, by a stranger: uniformly between two limits."""

from dataclasses import dataclass
from typing import ClassVar

from phiml import math

from phi_sip import NoiseLaw, hookimpl


@dataclass(frozen=True)
class UniformNoise(NoiseLaw):
    """n between −√3 σ and √3 σ, inverted as if it were normal."""

    name: ClassVar[str] = "uniform"

    def sample(self, mean, normal, known, basis, alike):
        return (math.erf(normal / 2**0.5)) * 3**0.5 * known["noise_std"]


@hookimpl
def sip_noise():
    return [UniformNoise]
