"""How large the noise in an observation is, as its physics says or measures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from phiml import math
from phiml.math import Tensor

from ..contract.inputs import Observed
from ..errors import ParameterError, UnsupportedError
from ..states.parameters import as_tensor


def noise_facts(observed: Observed) -> dict[str, Any] | None:
    """
    Returns what is known of the noise of observations, for `add_noise` of their physics: σ as `noise_std`, as the
    physics says it or its inversion has measured it, and what else that has measured. `None` if nothing says σ.

    Args:
        observed: The observations.
    """
    stated = getattr(observed.physics, "noise_std", None)
    is_said = isinstance(stated, (Real, Tensor)) and observed.physics.has_white_noise
    measures = not is_said and (observed.physics.has_inverse or observed.physics.default_solver is not None)
    stats: Any = observed.inverted().stats if measures else {}
    stats = stats.get("stages", (stats,))[-1]
    std = stats.get("noise_std", stated)
    return {**stats, "noise_std": as_tensor(std)} if isinstance(std, (Real, Tensor)) else None


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
        facts = noise_facts(observed)
        known = math.wrap(False if facts is None else facts.get("noise_known", True))
        if facts is None or not bool(known.any):
            raise ParameterError(
                f"{owner} needs σ of the noise in the observations, but {type(observed.physics).__name__} neither says "
                f"nor can measure it. Give the physics noise_std=..., 0 where there is none."
            )
        return ObservationNoise(facts["noise_std"], known, facts)

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
                f"{owner} takes the noise for white and Gaussian, but {type(observed.physics).__name__} says by "
                f"noise=... that it is not. Leave it out for this physics."
            )
        return ObservationNoise.of(owner, observed)
