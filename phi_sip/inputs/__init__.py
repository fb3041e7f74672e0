"""What a network is shown of an observation: one file per quantity."""

from .estimate import Estimate
from .linear import LinearEstimate
from .observation import Observation
from .parameters import Parameters
from .resolve import resolve_inputs
from .uncertainty import Uncertainty

__all__ = ["Estimate", "LinearEstimate", "Observation", "Parameters", "Uncertainty", "resolve_inputs"]
