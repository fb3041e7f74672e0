"""How large the noise in an observation is, as its physics says or measures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.inputs import Observed
from ..contract.noise import NoiseMeasurement
from ..errors import ParameterError, UnsupportedError
from ..states.parameters import as_tensor


@dataclass(frozen=True, eq=False)
class ObservationNoise:
    """
    Noise of observations.

    Attributes:
        std: σ.
        known: Whether it is known, per sample.
        facts: σ as `noise_std`, and what else has been measured, for `add_noise` of the physics.
    """

    std: Tensor
    known: Tensor
    facts: Mapping[str, Any]

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
        measures = isinstance(stated, NoiseMeasurement) or not observed.physics.has_white_noise
        stats: Any = observed.inverted().stats if measures else {}
        stats = stats.get("stages", (stats,))[-1]
        std = stats.get("noise_std", stated)
        known = math.wrap(stats.get("noise_known", isinstance(std, (Real, Tensor))))
        if not bool(known.any):
            raise ParameterError(
                f"{owner} needs σ of the noise in the observations, but {type(observed.physics).__name__} neither says "
                f"nor can measure it. Give the physics noise_std=..., 0 where there is none."
            )
        return ObservationNoise(as_tensor(std), known, {**stats, "noise_std": as_tensor(std)})

    @staticmethod
    def white(owner: str, observed: Observed) -> ObservationNoise:
        """
        Returns the same of noise that must be white and Gaussian.

        Raises:
            UnsupportedError: if the physics says that it is not.
            ParameterError: as `of`.
        """
        if not observed.physics.has_white_noise:
            raise UnsupportedError(
                f"{owner} is for white Gaussian noise, but the noise of {type(observed.physics).__name__} is another: "
                f"noise=... Do without."
            )
        return ObservationNoise.of(owner, observed)
