"""A plugin of phi_sip: the physics `logistic-growth` and the solver `newton1d`."""

from phi_sip import hookimpl

from .logistic_growth import LogisticGrowth
from .newton import Newton1D

__all__ = ["LogisticGrowth", "Newton1D"]


@hookimpl
def sip_physics():
    return [LogisticGrowth]


@hookimpl
def sip_solvers():
    return [Newton1D]
