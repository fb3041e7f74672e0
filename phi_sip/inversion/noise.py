"""How large the noise in an observation is, as its physics says or measures it."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.inputs import Observed
from ..contract.noise import NoiseMeasurement
from ..errors import ParameterError
from ..states.parameters import as_tensor


@dataclass(frozen=True, eq=False)
class ObservationNoise:
    """
    White noise of observations.

    Attributes:
        std: σ.
        known: Whether it is known, per sample.
    """

    std: Tensor
    known: Tensor

    @staticmethod
    def of(owner: str, observed: Observed) -> ObservationNoise:
        """
        Returns what the physics says of the noise, or its inversion has measured.

        Args:
            owner: Who asks, for the message.
            observed: The observations.

        Raises:
            ParameterError: if σ is not known of any of them.
        """
        stated = getattr(observed.physics, "noise_std", None)
        stats: Any = observed.inverted().stats if isinstance(stated, NoiseMeasurement) else {}
        stats = stats.get("stages", (stats,))[-1]
        std = stats.get("noise_std", stated)
        known = math.wrap(stats.get("noise_known", isinstance(std, (Real, Tensor))))
        if not bool(known.any):
            raise ParameterError(
                f"{owner} needs σ of the noise in the observations, but {type(observed.physics).__name__} neither says "
                f"nor can measure it. Give the physics noise_std=..., 0 where there is none."
            )
        return ObservationNoise(as_tensor(std), known)
