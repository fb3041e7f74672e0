"""How wrong estimates of the state are, from the observations alone."""

from .estimate import RiskEstimate

__all__ = ["RiskEstimate"]
