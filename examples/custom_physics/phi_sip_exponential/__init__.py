"""A plugin of phi_sip: the physics `exponential` and the solver `newton1d`."""

from phi_sip import hookimpl

from .exponential import Exponential
from .newton import Newton1D

__all__ = ["Exponential", "Newton1D"]


@hookimpl
def sip_physics():
    return [Exponential]


@hookimpl
def sip_solvers():
    return [Newton1D]
