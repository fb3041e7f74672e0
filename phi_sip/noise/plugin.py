"""The noise laws that `phi_sip` itself provides, by the hook that any plugin uses."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract.markers import hookimpl
from . import ColoredNoise, MultiplicativeNoise, NoiseLaw, NoisePerCell, Outliers, PoissonNoise, WhiteNoise


@hookimpl
def sip_noise() -> Sequence[type[NoiseLaw]]:
    return [ColoredNoise, MultiplicativeNoise, NoisePerCell, Outliers, PoissonNoise, WhiteNoise]
