"""How wrong estimates of the state are, from the observations alone."""

from .estimate import RiskEstimate
from .guard import Guard
from .interval import Interval

__all__ = ["Guard", "Interval", "RiskEstimate"]
