"""How wrong estimates of the state are, from the observations alone."""

from .estimate import RiskEstimate
from .guard import Guard

__all__ = ["Guard", "RiskEstimate"]
