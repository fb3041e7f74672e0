"""A physics of a stranger: y = x³."""

from dataclasses import dataclass
from typing import ClassVar

from phi_sip import Correction, InvertiblePhysics, hookimpl


@dataclass(frozen=True)
class Cube(InvertiblePhysics):
    """y = x³, for x > 0."""

    name: ClassVar[str] = "cube"

    def forward(self, x):
        return x**3

    def inverse(self, y_target, x, y):
        return Correction(y_target ** (1 / 3) - x)


@hookimpl
def sip_physics():
    return [Cube]
